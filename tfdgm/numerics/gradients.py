"""Gradient estimators for operations without a gradient."""

import tensorflow as tf


def straight_through(value: tf.Tensor, surrogate: tf.Tensor) -> tf.Tensor:
    """Return the value of one tensor with the gradient of another (Bengio et al. 2013)."""
    return tf.stop_gradient(value) + (surrogate - tf.stop_gradient(surrogate))  # the bracket is exactly 0
