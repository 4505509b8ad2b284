"""The base class of distributions that TensorFlow Probability does not have."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd


class CustomDistribution(tfd.Distribution):
    """A distribution written by hand: subclasses define `_log_prob(x)` and `_sample_n(n, seed)`, and `_mean` if needed.

    `_log_prob` maps `[..., *batch, *event]` to `[..., *batch]`, in nats. `_sample_n` returns `[n, *batch, *event]` from
    a stateless seed `[2]`. No gradient passes through draws. For example, a von Mises distribution of an angle:

        class Angle(tfdgm.CustomDistribution):
            def __init__(self, concentration):
                super().__init__(dict(locals()), dtype=tf.float32, event_shape=())
                self.concentration = concentration

            def _log_prob(self, angle):
                log_normaliser = math.log(2 * math.pi) + tf.math.log(tf.math.bessel_i0(self.concentration))
                return self.concentration * tf.cos(angle) - log_normaliser

    Args:
      parameters: `dict(locals())` of the subclass's `__init__`, from which `copy` rebuilds the distribution.
      dtype: of draws.
      event_shape: shape of one draw, static.
      base: the distribution that this one transforms, whose batch shape it takes; None for no batch shape.
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        *,
        dtype: tf.DType,
        event_shape: Sequence[int] | tf.TensorShape,
        base: tfd.Distribution | None = None,
    ) -> None:
        self._static_event_shape = tf.TensorShape(event_shape)
        self._base = base
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
        )

    def _event_shape(self) -> tf.TensorShape:
        return self._static_event_shape

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant(self._static_event_shape.as_list(), tf.int32)

    def _batch_shape(self) -> tf.TensorShape:
        return tf.TensorShape([]) if self._base is None else self._base.batch_shape

    def _batch_shape_tensor(self) -> tf.Tensor:
        return tf.constant([], tf.int32) if self._base is None else self._base.batch_shape_tensor()

    def _default_event_space_bijector(self) -> None:
        return None
