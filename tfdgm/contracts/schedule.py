"""A scalar hyperparameter that may change with the step."""

from typing import TypeAlias

import keras
import tensorflow as tf

#: A number, or any `keras.optimizers.schedules.LearningRateSchedule` (a function of the step).
Schedule: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


def scheduled(value: Schedule, step: tf.Tensor) -> tf.Tensor:
    """The value of a schedule at `step`, as a float32 scalar; a plain number is itself."""
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return tf.cast(value(step), tf.float32)
    return tf.constant(value, tf.float32)
