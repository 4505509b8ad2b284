"""The Gaussian likelihood, for real x."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood
from tfdgm_likelihoods.scales import log_variable


class Gaussian(Likelihood):
    """p(x|z) = N(x; m(z), s^2): one scale for all of x, fixed or learned; the decoder's outputs are the mean m.

    Args:
      scale: standard deviation s, or its initial value if learned, in the units of x; between 1e-6 and 1e6, since the
        gradient is proportional to 1/s^2, which optimizers square.
      learned_scale: whether to train s, as log s.
      per_dimension: whether every dimension of x has its own s; requires `learned_scale`.
    """

    def __init__(self, *, scale: float = 0.1, learned_scale: bool = False, per_dimension: bool = False) -> None:
        self.require_positive("scale", scale)
        self.require(learned_scale or not per_dimension, "per_dimension has no effect without learned_scale")
        self.scale = scale
        self.learned_scale = learned_scale
        self.per_dimension = per_dimension

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)
        shape = context.data.shape if self.per_dimension else ()
        self.log_scale = log_variable(self.scale, shape, trainable=self.learned_scale, name="log_scale")

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent normals over the whole event."""
        return tfd.Independent(tfd.Normal(outputs, tf.exp(self.log_scale.value)), self.event_rank)
