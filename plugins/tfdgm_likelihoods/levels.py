"""Distributions over grey levels, low + k step for k = 0..L-1, by distributions over k."""

from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import DataSpec, Likelihood, UserError


def check_levels(likelihood: Likelihood, data: DataSpec) -> None:
    """Refuses data that is not grey levels."""
    if data.levels is None:
        raise UserError(
            f"{likelihood.display_name()} needs x on a known number of grey levels, but the data is continuous; use "
            "likelihood.gaussian, or data of integers"
        )


def level_step(data: DataSpec) -> float:
    """Distance between two grey levels, in the units of x."""
    assert data.levels is not None
    return (data.high - data.low) / (data.levels - 1)


class OnLevels(tfd.Distribution):
    """x = low + k step with k from a distribution over 0..L-1; elementwise.

    Args:
      base: the distribution of k, scalar event.
      mean_level: E[k], of the batch shape of `base`.
      data: gives low, high and L.
    """

    def __init__(self, base: Any, mean_level: Any, data: DataSpec) -> None:
        parameters = dict(locals())
        self._base, self._mean_level = base, mean_level
        self._low, self._step = data.low, level_step(data)
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
        )

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([])

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant([], tf.int32)

    def _batch_shape(self) -> tf.TensorShape:
        return self._base.batch_shape

    def _batch_shape_tensor(self) -> tf.Tensor:
        return self._base.batch_shape_tensor()

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return self._base.log_prob(tf.cast(tf.round((x - self._low) / self._step), self._base.dtype))

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self._low + self._step * tf.cast(self._base.sample(n, seed=seed), tf.float32)

    def _mean(self) -> tf.Tensor:
        return self._low + self._step * self._mean_level()

    def _default_event_space_bijector(self) -> None:
        return None
