"""Distributions over grey levels low + k step, k = 0..L-1, given a distribution of k."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdgm import CustomDistribution, DataSpec, Likelihood, UserError


def check_levels(likelihood: Likelihood, data: DataSpec) -> None:
    """Refuse data that is not grey levels."""
    if data.levels is None:
        raise UserError(f"{likelihood.display_name()} requires grey levels, but the data is continuous")


def level_step(data: DataSpec) -> float:
    """Return the distance between adjacent grey levels, in the units of x."""
    assert data.levels is not None
    return (data.high - data.low) / (data.levels - 1)


class OnLevels(CustomDistribution):
    """x = low + k step with k from a distribution over 0..L-1; elementwise.

    Args:
      base: the distribution of k, scalar event.
      mean_level: a function that returns E[k], of the batch shape of `base`.
      data: gives low, high and L.
    """

    def __init__(self, base: Any, mean_level: Callable[[], tf.Tensor], data: DataSpec) -> None:
        super().__init__(dict(locals()), dtype=tf.float32, event_shape=(), base=base)
        self._mean_level = mean_level
        self._low, self._step = data.low, level_step(data)

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return self._base.log_prob(tf.cast(tf.round((x - self._low) / self._step), self._base.dtype))

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self._low + self._step * tf.cast(self._base.sample(n, seed=seed), tf.float32)

    def _mean(self) -> tf.Tensor:
        return self._low + self._step * self._mean_level()
