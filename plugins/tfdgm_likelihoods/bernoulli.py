"""The Bernoulli likelihood, for binary x."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood, UserError


class Bernoulli(Likelihood):
    """p(x|z) = prod_i Bernoulli(x_i; sigmoid(l_i)), for x in {0, 1}; the decoder's outputs are the logits l."""

    discrete = True

    def check(self, data: DataSpec) -> None:
        if data.levels not in (None, 2):
            raise UserError(f"{self.display_name()} requires binary x, but the data has {data.levels} grey levels")
        if data.low < 0 or data.high > 1:
            raise UserError(
                f"{self.display_name()} requires x in [0, 1], but the data has range [{data.low:g}, {data.high:g}]"
            )

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent Bernoullis over the whole event; `mean()` is the probability that each pixel is 1."""
        return tfd.Independent(tfd.Bernoulli(logits=outputs, dtype=tf.float32), self.event_rank)

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)
