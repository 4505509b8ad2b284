"""A bijector of vectors whose log-determinant comes with the value, in both directions."""

from collections.abc import Callable

import tensorflow as tf
from tensorflow_probability import bijectors as tfb

#: `[n, d]` -> the other side `[n, d]`, and the log-determinant of its Jacobian `[n]`.
Direction = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Flow(tfb.Bijector):
    """Noise u `[..., d]` to z `[..., d]`.

    TFP asks for value and log-determinant one after the other. The last pair is kept, so that a log-density takes one
    pass and not two.

    Args:
      forward: u -> z, log |det dz/du|.
      inverse: z -> u, log |det du/dz|.
    """

    def __init__(self, forward: Direction, inverse: Direction) -> None:
        parameters = dict(locals())
        self._directions = (forward, inverse)
        self._known: tuple[tf.Tensor, tf.Tensor] | None = None
        super().__init__(forward_min_event_ndims=1, dtype=tf.float32, parameters=parameters, name="flow")

    @classmethod
    def _parameter_properties(cls, dtype: tf.DType) -> dict[str, object]:
        return {}

    def _forward(self, u: tf.Tensor) -> tf.Tensor:
        z, log_det = _by_rows(self._directions[0], u)
        self._known = z, -log_det
        return z

    def _inverse(self, z: tf.Tensor) -> tf.Tensor:
        u, log_det = _by_rows(self._directions[1], z)
        self._known = z, log_det
        return u

    def _inverse_log_det_jacobian(self, z: tf.Tensor) -> tf.Tensor:
        if self._known is not None and self._known[0] is z:
            return self._known[1]
        return _by_rows(self._directions[1], z)[1]


def _by_rows(direction: Direction, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Any leading shape as one axis."""
    value, log_det = direction(tf.reshape(x, [-1, x.shape[-1]]))
    return tf.reshape(value, tf.shape(x)), tf.reshape(log_det, tf.shape(x)[:-1])
