"""The categorical likelihood, for grey levels."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood
from tfdgm_likelihoods.levels import OnLevels, check_levels


class Categorical(Likelihood):
    """p(x|z) = prod_i Categorical(level of x_i; softmax(l_i)); the decoder's outputs are l, one logit per level."""

    discrete = True

    def check(self, data: DataSpec) -> None:
        check_levels(self, data)

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        assert data.levels is not None
        return (*data.shape, data.levels)

    def build(self, context: BuildContext) -> None:
        self.data = context.data

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent categoricals over the whole event; `mean()` is the mean grey level in the units of x."""

        def mean_level() -> tf.Tensor:
            levels = tf.range(outputs.shape[-1], dtype=outputs.dtype)
            return tf.linalg.matvec(tf.nn.softmax(outputs), levels)

        pixels = OnLevels(tfd.Categorical(logits=outputs), mean_level, self.data)
        return tfd.Independent(pixels, len(self.data.shape))
