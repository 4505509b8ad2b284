"""The Gaussian prior, fixed or learned."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, Prior


class Gaussian(Prior):
    """p(z) = N(z; m, diag(s^2)), with m = 0 and s = 1 unless learned.

    Args:
      learned_mean: whether to train m, starting at 0.
      learned_scale: whether to train s, starting at 1; log s is trained, so s stays positive.
    """

    def __init__(self, *, learned_mean: bool = False, learned_scale: bool = False) -> None:
        self.learned_mean = learned_mean
        self.learned_scale = learned_scale

    def build(self, context: BuildContext) -> None:
        size = context.latent.size
        self.mean = keras.Variable(tf.zeros([size]), trainable=self.learned_mean, name="mean")
        self.log_scale = keras.Variable(tf.zeros([size]), trainable=self.learned_scale, name="log_scale")

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return independent normals, event shape `[d]`."""
        return tfd.Independent(tfd.Normal(self.mean.value, tf.exp(self.log_scale.value)), 1)
