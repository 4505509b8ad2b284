"""The Gaussian likelihood, for real x."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood
from tfdgm_likelihoods.scales import check_plain, scale_shape, scale_variable


class Gaussian(Likelihood):
    """p(x|z) = N(x; m(z), s^2), the scale s fixed or learned; the decoder's outputs are the mean m.

    Args:
      scale: standard deviation s, or its initial value if learned, in the units of x; between 1e-6 and 1e6, since the
        gradient is proportional to 1/s^2, which optimizers square. None stands for 0.1 if fixed, and if learned for the
        standard deviation of the training examples: from a much smaller s, training would first have to unlearn it.
      learned_scale: whether to train s, as log s.
      per_dimension: whether every dimension of x has its own s, if learned. None stands for True if x is a vector and
        False if it is an image or another array.
    """

    def __init__(
        self, *, scale: float | None = None, learned_scale: bool = False, per_dimension: bool | None = None
    ) -> None:
        if scale is not None:
            self.require_positive("scale", scale)
        self.require(learned_scale or not per_dimension, "per_dimension has no effect without learned_scale")
        self.scale = scale
        self.learned_scale = learned_scale
        self.per_dimension = per_dimension

    def check(self, data: DataSpec) -> None:
        check_plain(self, data)

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)
        shape = scale_shape(context.data, self.per_dimension) if self.learned_scale else ()
        self.log_scale = scale_variable(self, context, self.scale, learned=self.learned_scale, shape=shape)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent normals over the whole event."""
        return tfd.Independent(tfd.Normal(outputs, tf.exp(self.log_scale.value)), self.event_rank)
