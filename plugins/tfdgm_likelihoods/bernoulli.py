"""The Bernoulli likelihood of binary x."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood, UserError


class Bernoulli(Likelihood):
    """p(x|z) = prod_i Bernoulli(x_i; sigmoid(l_i)), for x in {0, 1}; the decoder gives the logits l."""

    def check(self, data: DataSpec) -> None:
        if data.levels not in (None, 2):
            raise UserError(
                f"{self.display_name()} needs binary x, but the data has {data.levels} levels; choose a binarization "
                "of the data, or another likelihood"
            )
        if data.low < 0 or data.high > 1:
            raise UserError(
                f"{self.display_name()} needs x in [0, 1], but the data has range [{data.low:g}, {data.high:g}]"
            )

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Independent over the whole event; `mean()` is the probability of each pixel."""
        return tfd.Independent(tfd.Bernoulli(logits=outputs, dtype=tf.float32), self.event_rank)

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)
