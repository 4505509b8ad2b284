"""The Student-t likelihood, for real x with outliers."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood
from tfdgm_likelihoods.scales import check_plain, log_variable, scale_shape, scale_variable

#: Smallest number of degrees of freedom. With 1 or fewer x has no mean, which pictures and exports show.
_SMALLEST_DF = 1.01


class StudentT(Likelihood):
    """p(x|z) = prod_i t(x_i; v, m_i(z), s), Student's t distribution; the decoder's outputs are the location m.

        log t(x; v, m, s) = -(v + 1)/2 log(1 + (x - m)^2 / (v s^2)) - log s - log(v)/2 - log B(1/2, v/2)

    An error e costs (v + 1) log |e| for large e, where a Gaussian's cost is e^2 / (2 s^2), so that outliers do not
    dominate the loss (Lange, Little and Taylor 1989). The variance is s^2 v / (v - 2), infinite for v <= 2.

    Args:
      df: degrees of freedom v, or their initial value if learned; between 1.01 and 1e6, where x is almost normal.
      learned_df: whether to train v, as log(v - 1): the mean, which is m, exists for v > 1 only.
      scale: scale s, or its initial value if learned, in the units of x; between 1e-6 and 1e6. None stands for 0.1 if
        fixed, and if learned for the standard deviation of the training examples.
      learned_scale: whether to train s, as log s.
      per_dimension: whether every dimension of x has its own parameters, where these are learned. None stands for True
        if x is a vector and False if it is an image or another array.
    """

    def __init__(
        self,
        *,
        df: float = 5.0,
        learned_df: bool = False,
        scale: float | None = None,
        learned_scale: bool = False,
        per_dimension: bool | None = None,
    ) -> None:
        self.require_positive("df", df, low=_SMALLEST_DF)
        if scale is not None:
            self.require_positive("scale", scale)
        self.require(
            learned_df or learned_scale or not per_dimension,
            "per_dimension has no effect without learned_df or learned_scale",
        )
        self.df = df
        self.learned_df = learned_df
        self.scale = scale
        self.learned_scale = learned_scale
        self.per_dimension = per_dimension

    def check(self, data: DataSpec) -> None:
        check_plain(self, data)

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)
        shape = scale_shape(context.data, self.per_dimension) if self.learned_df or self.learned_scale else ()
        self.log_excess_df = log_variable(self.df - 1, shape, trainable=self.learned_df, name="log_excess_df")
        self.log_scale = scale_variable(self, context, self.scale, learned=self.learned_scale, shape=shape)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent t distributions over the whole event; `mean()` is m."""
        df = 1 + tf.exp(self.log_excess_df.value)
        return tfd.Independent(tfd.StudentT(df, outputs, tf.exp(self.log_scale.value)), self.event_rank)
