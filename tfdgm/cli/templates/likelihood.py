"""A likelihood for tfdgm."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tfdgm import BuildContext, DataSpec, Likelihood


class ExampleLikelihood(Likelihood):
    """Independent Laplace distributions around the decoder's output.

    Args:
      scale: of the distributions, in units of x.
    """

    plugin_api = 2

    def __init__(self, *, scale: float = 0.1) -> None:
        self.require_positive("scale", scale)
        self.scale = scale

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        return tfd.Independent(tfd.Laplace(outputs, self.scale), self.event_rank)
