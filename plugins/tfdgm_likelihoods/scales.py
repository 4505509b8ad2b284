"""Variables for the logarithms of positive parameters: one for all of x, or one for each dimension."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf


def log_variable(value: float, shape: Sequence[int], *, trainable: bool, name: str) -> keras.Variable:
    """Return a variable of a shape, `()` for one number, that is log `value` everywhere."""
    return keras.Variable(tf.fill(shape, math.log(value)), trainable=trainable, name=name)
