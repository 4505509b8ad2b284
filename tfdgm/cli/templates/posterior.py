"""A posterior for tfdgm."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tfdgm import Context, DataSpec, Latent, LatentSpec, Posterior


class ExamplePosterior(Posterior):
    """Independent logistic distributions; the features are location and pre-scale.

    Args:
      min_scale: lower bound on every scale.
    """

    plugin_api = 2

    def __init__(self, *, min_scale: float = 1e-4) -> None:
        self.require_positive("min_scale", min_scale)
        self.min_scale = min_scale

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return (2 * latent.size,)

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        location, pre_scale = tf.split(features, 2, axis=-1)
        return tfd.Independent(tfd.Logistic(location, tf.nn.softplus(pre_scale) + self.min_scale), 1)

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)
