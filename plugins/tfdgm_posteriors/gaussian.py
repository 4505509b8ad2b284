"""The Gaussian posterior."""

from typing import Literal

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, DataSpec, Latent, LatentSpec, Posterior


class Gaussian(Posterior):
    """q(z|x) = N(z; m(x), S(x)), reparameterised (Kingma and Welling 2014, section 2.4).

    The encoder's features are m, then d pre-activations r of the scales s = softplus(r) + min_scale, then for a full
    covariance the d (d - 1) / 2 entries of L below the diagonal.

    Args:
      covariance: "diagonal" for S = diag(s^2); "full" for S = L L^T with s on L's diagonal, for which the rate is
        estimated from one draw.
      min_scale: lower bound on every scale, between 1e-6 and 1e6; keeps log q finite. With smaller scales, float32
        rounds z = m + s e so coarsely that (z - m) / s differs from e.
    """

    def __init__(self, *, covariance: Literal["diagonal", "full"] = "diagonal", min_scale: float = 1e-4) -> None:
        self.require_positive("min_scale", min_scale)
        self.covariance = covariance
        self.min_scale = min_scale

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        below = latent.size * (latent.size - 1) // 2 if self.covariance == "full" else 0
        return (2 * latent.size + below,)

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Return q(z|x), batch shape `[batch]`, event shape `[d]`."""
        mean, pre_scale, below = tf.split(features, [self.size, self.size, -1], axis=-1)
        scale = tf.nn.softplus(pre_scale) + self.min_scale
        if self.covariance == "diagonal":
            return tfd.Independent(tfd.Normal(mean, scale), 1)
        return tfd.MultivariateNormalTriL(mean, lower_triangular(scale, below))

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)


def lower_triangular(diagonal: tf.Tensor, below: tf.Tensor) -> tf.Tensor:
    """Return the matrices `[..., d, d]` with a diagonal `[..., d]` and d (d - 1) / 2 entries below it."""
    size = diagonal.shape[-1]
    if size == 1:
        return diagonal[..., None]
    strict = tf.pad(tfp.math.fill_triangular(below), [*[[0, 0]] * (below.shape.rank - 1), [1, 0], [0, 1]])
    return tf.linalg.set_diag(strict, diagonal)
