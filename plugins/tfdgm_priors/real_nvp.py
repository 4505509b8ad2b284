"""The prior of affine couplings."""

import itertools
from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd
from tfdgm_flows.flow import Flow
from tfdgm_flows.made import LAST_LAYER_SCALE, Architecture, Layers, check_networks

from tfdgm import BuildContext, Component, Context, Prior
from tfdgm_priors.bijector_loop import by_loop


class RealNVP(Prior):
    """p(z), the image of N(0, I) under affine couplings (Dinh et al. 2017, section 3.2).

    Each coupling keeps the first half u_1 of the dimensions, the smaller one if d is odd, and transforms the second:

        z_1 = u_1,  z_2 = u_2 exp(a) + m  with (m, a) = network(u_1)

    The dimensions are reversed between couplings, so that the halves alternate. log p(z) and a draw each take one pass
    through the networks; a coupling is less flexible than a bijector of `prior.maf`, whose draws take d steps. All
    couplings are computed in one loop: compile time does not grow with their number. But for the reversals, the flow
    starts near the identity.

    Args:
      num_couplings: number of couplings; with fewer than 2, one half of z is N(0, I).
      hidden: widths of the hidden layers of each coupling's network.
      activation: name of an elementwise Keras activation.
      log_scale_bound: b in a = b tanh(output / b), which keeps every scale between exp(-b) and exp(b).
    """

    def __init__(
        self,
        *,
        num_couplings: int = 8,
        hidden: Sequence[int] = (128, 128),
        activation: str = "relu",
        log_scale_bound: float = 3.0,
    ) -> None:
        self.require(num_couplings >= 1, f"num_couplings must be at least 1, got {num_couplings}")
        check_networks(self, hidden, activation)
        self.require(log_scale_bound > 0, f"log_scale_bound must be positive, got {log_scale_bound}")
        self.num_couplings = num_couplings
        self.hidden = tuple(hidden)
        self.activation = activation
        self.log_scale_bound = log_scale_bound

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size
        self.require(
            self.size >= 2,
            "a coupling needs a latent of at least 2 dimensions, got experiment.latent_size = 1; prior.maf takes one",
        )
        self.architecture = Architecture(self.size, self.hidden, self.activation, self.log_scale_bound)
        kept = self.size // 2
        self.networks = CouplingNetworks(
            self.num_couplings, [kept, *self.hidden, 2 * (self.size - kept)], context.within("networks")
        )

    def bijector(self) -> tfb.Bijector:
        """Return the bijector from noise u to z."""
        identity = list(range(self.size))
        orders = [identity, *[identity[::-1]] * (self.num_couplings - 1)]  # the same from both ends

        def forward(u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            last_first = [(kernel[::-1], bias[::-1]) for kernel, bias in self.networks.layers()]
            return by_loop(u, last_first, orders, self._coupled)

        def inverse(z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return by_loop(z, self.networks.layers(), orders, self._uncoupled)

        return Flow(forward, inverse)

    def _coupled(self, u: tf.Tensor, layers: Layers) -> tuple[tf.Tensor, tf.Tensor]:
        """Map u to z through one coupling; return z and log |det dz/du| = sum_i a_i."""
        first, second = u[:, : self.size // 2], u[:, self.size // 2 :]
        shift, log_scale = self.architecture(first, layers)
        return tf.concat([first, second * tf.exp(log_scale) + shift], axis=1), tf.reduce_sum(log_scale, axis=1)

    def _uncoupled(self, z: tf.Tensor, layers: Layers) -> tuple[tf.Tensor, tf.Tensor]:
        """Map z to u through one coupling; return u and log |det du/dz| = -sum_i a_i."""
        first, second = z[:, : self.size // 2], z[:, self.size // 2 :]
        shift, log_scale = self.architecture(first, layers)
        return tf.concat([first, (second - shift) * tf.exp(-log_scale)], axis=1), -tf.reduce_sum(log_scale, axis=1)

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return p(z), event shape `[d]`."""
        noise = tfd.Independent(tfd.Normal(tf.zeros([self.size]), 1.0), 1)
        return tfd.TransformedDistribution(noise, self.bijector())


class CouplingNetworks(Component):
    """The weights of the couplings' networks, one variable for each layer of all.

    Args:
      count: number of networks.
      widths: of the inputs, of the hidden layers and of the outputs.
      context: gives the seeds.
    """

    def __init__(self, count: int, widths: Sequence[int], context: BuildContext) -> None:
        self.kernels, self.biases = [], []
        for layer, (before, after) in enumerate(itertools.pairwise(widths)):
            size = LAST_LAYER_SCALE if layer == len(widths) - 2 else 1.0
            each = [
                size * keras.initializers.GlorotUniform(seed=context.seed_for(f"{number}, {layer}"))([before, after])
                for number in range(count)
            ]
            self.kernels.append(keras.Variable(tf.stack(each), name="kernel"))
            self.biases.append(keras.Variable(tf.zeros([count, after]), name="bias"))

    def layers(self) -> Layers:
        """Return the stacked layers."""
        return [
            (tf.convert_to_tensor(kernel.value), tf.convert_to_tensor(bias.value))
            for kernel, bias in zip(self.kernels, self.biases, strict=True)
        ]
