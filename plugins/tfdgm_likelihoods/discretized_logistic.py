"""The discretised logistic likelihood, for grey levels."""

import math
from typing import Literal

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood
from tfdgm_likelihoods.levels import OnLevels, check_levels, level_step

#: Smallest scale, in grey levels: the level at the location then has all mass but 5e-5.
_SMALLEST_SCALE = 0.05


class DiscretizedLogistic(Likelihood):
    """P(x = level k) = F(k + 1/2) - F(k - 1/2), F the distribution function of a logistic with location m and scale s.

    The lowest and highest levels take the tails, so that the sum is 1 (Kingma et al. 2016, appendix C; Salimans et al.
    2017, equation 2). The decoder's outputs are m: 0 is the middle of the data's range, -1 and 1 are its ends.

    Args:
      scale: initial s, in the units of x; the standard deviation is 1.81 s.
      scale_from: "shared" learns one s for all of x; "decoder" uses s = scale exp(a), with a second decoder output a
        for every element of x.
    """

    discrete = True

    def __init__(self, *, scale: float = 0.1, scale_from: Literal["shared", "decoder"] = "shared") -> None:
        self.require_positive("scale", scale)
        self.scale = scale
        self.scale_from = scale_from

    def check(self, data: DataSpec) -> None:
        check_levels(self, data)

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return (*data.shape, 2) if self.scale_from == "decoder" else data.shape

    def build(self, context: BuildContext) -> None:
        self.data = context.data
        if self.scale_from == "shared":
            self.log_scale = keras.Variable(tf.constant(math.log(self.scale)), name="log_scale")

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent elements over the whole event; `mean()` is the mean grey level in the units of x."""
        assert self.data.levels is not None
        if self.scale_from == "decoder":
            location, log_scale = tf.unstack(outputs, axis=-1)
            log_scale += math.log(self.scale)
        else:
            location, log_scale = outputs, self.log_scale.value
        top = self.data.levels - 1
        scale = tf.maximum(tf.exp(log_scale) / level_step(self.data), _SMALLEST_SCALE)
        location = top / 2 * (1 + location)
        # TFP rounds up; with the location half a level lower, that rounds to nearest
        levels = QuantizedLogistic(tfd.Logistic(location - 0.5, scale), low=0.0, high=float(top))
        pixels = OnLevels(levels, lambda: mean_level(location, scale, top), self.data)
        return tfd.Independent(pixels, len(self.data.shape))


class QuantizedLogistic(tfd.QuantizedDistribution):
    """TFP's, with a log-probability that stays accurate and keeps its gradient at scales of many levels."""

    def _log_prob(self, k: tf.Tensor) -> tf.Tensor:
        """Use F(b) - F(a) = F(b) (1 - F(a)) (1 - exp(a - b)), written for scale 1."""
        location, scale = self.distribution.loc, self.distribution.scale
        above_lowest, below_highest = k > self.low, k < self.high
        inside = tf.math.log(-tf.math.expm1(-1 / scale))
        return (
            tf.where(below_highest, -tf.nn.softplus((location - k) / scale), 0.0)
            + tf.where(above_lowest, -tf.nn.softplus((k - 1 - location) / scale), 0.0)
            + tf.where(above_lowest & below_highest, inside, 0.0)
        )


def mean_level(location: tf.Tensor, scale: tf.Tensor, top: int) -> tf.Tensor:
    """Return E[k] = sum_{k=1..top} P(level >= k), in grey levels."""

    def add(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return k + 1, total + tf.sigmoid((location - tf.cast(k, location.dtype) + 0.5) / scale)

    start = (tf.constant(1), tf.zeros_like(location))
    return tf.while_loop(lambda k, _: k <= top, add, start, maximum_iterations=top)[1]
