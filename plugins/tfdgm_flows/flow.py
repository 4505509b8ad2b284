"""A bijector of vectors that computes value and log-determinant together, in both directions."""

from collections.abc import Callable

import tensorflow as tf
from tensorflow_probability import bijectors as tfb

#: Maps `[n, d]` to its image `[n, d]` and the log-determinant of the Jacobian `[n]`.
Direction = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Flow(tfb.Bijector):
    """Maps noise u `[..., d]` to z `[..., d]`.

    TFP requests value and log-determinant separately. The last pair is cached, so that a log-density takes one pass
    instead of two.

    Args:
      forward: maps u to z and log |det dz/du|.
      inverse: maps z to u and log |det du/dz|.
      batch: number of bijectors in a batch, if both directions hold several: they get `[k * batch, d]`, in which row i
        belongs to bijector i mod `batch`, and u and z `[..., 1, d]` or `[..., batch, d]` are broadcast to all.
    """

    def __init__(self, forward: Direction, inverse: Direction, batch: tf.Tensor | None = None) -> None:
        parameters = dict(locals())
        self._directions = (forward, inverse)
        self._batch = batch
        self._cached: tuple[tf.Tensor, tf.Tensor] | None = None
        super().__init__(forward_min_event_ndims=1, dtype=tf.float32, parameters=parameters, name="flow")

    @classmethod
    def _parameter_properties(cls, dtype: tf.DType) -> dict[str, object]:
        return {}

    def _forward(self, u: tf.Tensor) -> tf.Tensor:
        z, log_det = self._by_rows(self._directions[0], u)
        self._cached = z, -log_det
        return z

    def _inverse(self, z: tf.Tensor) -> tf.Tensor:
        u, log_det = self._by_rows(self._directions[1], z)
        self._cached = z, log_det
        return u

    def _inverse_log_det_jacobian(self, z: tf.Tensor) -> tf.Tensor:
        if self._cached is not None and self._cached[0] is z:
            return self._cached[1]
        return self._by_rows(self._directions[1], z)[1]

    def _by_rows(self, direction: Direction, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply a direction to x of any leading shape."""
        if self._batch is not None:
            x += tf.zeros([self._batch, 1])
        value, log_det = direction(tf.reshape(x, [-1, x.shape[-1]]))
        return tf.reshape(value, tf.shape(x)), tf.reshape(log_det, tf.shape(x)[:-1])
