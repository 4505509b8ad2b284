"""The Gaussian prior, fixed or learned."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, Prior


class Gaussian(Prior):
    """p(z) = N(z; m, diag(s^2)), with m = 0 and s = 1 unless learned; or p(z|y) with a mean and a scale for each label.

    For a condition vector y, m and log s are linear in y.

    Args:
      learned_mean: whether to train m, starting at 0.
      learned_scale: whether to train s, starting at 1; log s is trained, so s stays positive.
      per_condition: whether m and s, where learned, depend on the condition y (`experiment.condition`).
    """

    def __init__(self, *, learned_mean: bool = False, learned_scale: bool = False, per_condition: bool = False) -> None:
        self.require(
            not per_condition or learned_mean or learned_scale,
            "per_condition has no effect without learned_mean or learned_scale",
        )
        self.learned_mean = learned_mean
        self.learned_scale = learned_scale
        self.conditional = per_condition

    def build(self, context: BuildContext) -> None:
        size = context.latent.size
        shape = [size]
        if self.conditional:
            self.require(context.condition is not None, "per_condition requires experiment.condition = True")
            self.require(not context.latent.discrete, "per_condition is for latent vectors, not for codes")
            self.condition = context.condition
            shape = [self.condition.width, size]
        self.mean = keras.Variable(tf.zeros(shape), trainable=self.learned_mean, name="mean")
        self.log_scale = keras.Variable(tf.zeros(shape), trainable=self.learned_scale, name="log_scale")

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return independent normals, event shape `[d]`, and with `per_condition` batch shape `[batch]`."""
        mean, log_scale = self.mean.value, self.log_scale.value
        if self.conditional:
            features = self.condition.features(context.y)
            mean, log_scale = features @ mean, features @ log_scale
        return tfd.Independent(tfd.Normal(mean, tf.exp(log_scale)), 1)
