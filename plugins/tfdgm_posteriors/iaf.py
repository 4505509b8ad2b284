"""The posterior of an inverse autoregressive flow."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tfdgm_flows.flow import Flow
from tfdgm_flows.made import MADE, Architecture, check_networks

from tfdgm import BuildContext, Component, Context, DataSpec, Latent, LatentSpec, Posterior
from tfdgm_posteriors.iaf_step import inverse_step, step


class IAF(Posterior):
    """q(z|x), the image of a diagonal Gaussian under inverse autoregressive steps (Kingma et al. 2016).

    From z_0 ~ N(m_0(x), diag(s_0(x)^2)), step t = 1..T computes

        z_t = s_t z_(t-1) + (1 - s_t) m_t  with (m_t, s_t) = MADE_t(z_(t-1), h(x)), s_t in (0, 1)

    where dimension i of m_t and s_t depends on those of z_(t-1) before i; the dimensions are reversed between steps.
    log q(z|x) = log q(z_0|x) - sum_t sum_i log s_ti costs nothing more for a draw. At any other z, d sequential passes
    for each step invert the flow: the surgery's terms take d T times as long as a draw, for each pair of examples. The
    rate has no closed form and is estimated from one draw; nor has the mean, so that there are no active units.

    The encoder's features are m_0, d pre-activations r of s_0 = softplus(r) + min_scale, and h.

    Args:
      num_steps: T; 0 is the diagonal Gaussian posterior, with its closed-form rate.
      hidden: widths of the hidden layers of each step's masked network.
      activation: name of an elementwise Keras activation.
      context_size: dimension of h, which adds a linear map of it to the first hidden layer.
      gate_bound: b in s_t = sigmoid(2 + b tanh(output / b)): with 3, 0.27 < s_t < 0.993. A smaller gate bends the
        density more in one step, and the inverse multiplies rounding errors by 1 / s_t.
      min_scale: lower bound on every s_0, between 1e-6 and 1e6.
    """

    def __init__(
        self,
        *,
        num_steps: int = 2,
        hidden: Sequence[int] = (64,),
        activation: str = "relu",
        context_size: int = 16,
        gate_bound: float = 3.0,
        min_scale: float = 1e-4,
    ) -> None:
        self.require(num_steps >= 0, f"num_steps must not be negative, got {num_steps}")
        self.require(context_size >= 1, f"context_size must be at least 1, got {context_size}")
        self.require_positive("gate_bound", gate_bound, low=0.01, high=10.0)
        self.require_positive("min_scale", min_scale)
        check_networks(self, hidden, activation)
        self.num_steps = num_steps
        self.hidden = tuple(hidden)
        self.activation = activation
        self.context_size = context_size
        self.gate_bound = gate_bound
        self.min_scale = min_scale

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return (2 * latent.size + (self.context_size if self.num_steps else 0),)

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size
        self.architecture = Architecture(self.size, self.hidden, self.activation, self.gate_bound)
        self.steps = [
            ConditionalMADE(self.architecture, self.context_size, context.within(f"step {number}"))
            for number in range(self.num_steps)
        ]

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Return q(z|x), batch shape `[batch]`, event shape `[d]`."""
        mean, pre_scale, h = tf.split(features, [self.size, self.size, -1], axis=-1)
        start = tfd.Independent(tfd.Normal(mean, tf.nn.softplus(pre_scale) + self.min_scale), 1)
        return tfd.TransformedDistribution(start, self._flow(h)) if self.steps else start

    def _flow(self, h: tf.Tensor) -> Flow:
        """Return the bijector from z_0 to z_T, given h `[batch, context_size]`."""
        batch = tf.shape(h)[0]
        networks = [(network.contribution(h), network.made.layers()) for network in self.steps]

        def of_rows(projected: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            """Repeat a tensor `[batch, ..]` for rows `[k * batch, d]`."""
            return tf.tile(projected, [tf.shape(rows)[0] // tf.maximum(batch, 1), 1])

        def forward(z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            total = tf.zeros_like(z[:, 0])
            for number, (projected, layers) in enumerate(networks):
                z = z[:, ::-1] if number else z
                z, log_det = step(z, of_rows(projected, z), layers, self.architecture)
                total += log_det
            return z, total

        def inverse(z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            total = tf.zeros_like(z[:, 0])
            for number, (projected, layers) in reversed(list(enumerate(networks))):
                projected = of_rows(projected, z)
                z = inverse_step(z, projected, layers, self.architecture)
                total -= step(z, projected, layers, self.architecture)[1]
                z = z[:, ::-1] if number else z
            return z, total

        return Flow(forward, inverse, batch)

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)


class ConditionalMADE(Component):
    """The weights of a masked network whose first hidden layer gains a linear map of h.

    Args:
      architecture: the network's architecture.
      context_size: dimension of h.
      context: gives the seeds.
    """

    def __init__(self, architecture: Architecture, context_size: int, context: BuildContext) -> None:
        self.made = MADE(architecture, context)
        initializer = keras.initializers.GlorotUniform(seed=context.seed_for("context"))
        self.kernel = keras.Variable(initializer([context_size, architecture.hidden[0]]), name="context_kernel")

    def contribution(self, h: tf.Tensor) -> tf.Tensor:
        """Return what h `[batch, context_size]` adds to the first hidden layer."""
        return h @ self.kernel.value
