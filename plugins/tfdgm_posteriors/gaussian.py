"""The Gaussian posterior."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import Context, DataSpec, Latent, LatentSpec, Posterior


class Gaussian(Posterior):
    """q(z|x) = N(z; m(x), diag(s(x)^2)), drawn by reparameterisation (Kingma and Welling 2014, section 2.4).

    The encoder's features are `[batch, 2 d]`: m, and a pre-activation r with s = softplus(r) + min_scale.

    Args:
      min_scale: lower bound on every standard deviation; keeps log q finite.
    """

    def __init__(self, *, min_scale: float = 1e-4) -> None:
        self.require(min_scale > 0, f"min_scale must be positive, got {min_scale}")
        self.min_scale = min_scale

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return (2 * latent.size,)

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Independent normals, batch shape `[batch]`, event shape `[d]`."""
        mean, pre_scale = tf.split(features, 2, axis=-1)
        return tfd.Independent(tfd.Normal(mean, tf.nn.softplus(pre_scale) + self.min_scale), 1)

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)
