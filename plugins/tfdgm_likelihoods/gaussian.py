"""The Gaussian likelihood, for real x."""

import math

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood


class Gaussian(Likelihood):
    """p(x|z) = N(x; m(z), s^2 I): one scale for all of x, fixed or learned; the decoder's outputs are the mean m.

    Args:
      scale: standard deviation s, or its initial value if learned, in the units of x; between 1e-6 and 1e6, since the
        gradient is proportional to 1/s^2, which optimizers square.
      learned_scale: whether to train s (one scalar, as log s).
    """

    def __init__(self, *, scale: float = 0.1, learned_scale: bool = False) -> None:
        self.require_positive("scale", scale)
        self.scale = scale
        self.learned_scale = learned_scale

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)
        self.log_scale = keras.Variable(
            tf.constant(math.log(self.scale)), trainable=self.learned_scale, name="log_scale"
        )

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent normals over the whole event."""
        return tfd.Independent(tfd.Normal(outputs, tf.exp(self.log_scale.value)), self.event_rank)
