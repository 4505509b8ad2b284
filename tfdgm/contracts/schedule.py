"""Scalar hyperparameters that may depend on the step."""

from typing import TypeAlias

import keras
import tensorflow as tf

#: A number, or any `keras.optimizers.schedules.LearningRateSchedule` (a function of the step).
Schedule: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


def scheduled(value: Schedule, step: tf.Tensor) -> tf.Tensor:
    """Return the value at `step` as a float32 scalar; a number is constant."""
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return tf.cast(value(step), tf.float32)
    return tf.constant(value, tf.float32)
