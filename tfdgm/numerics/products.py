"""Matrix products whose terms cancel, which TensorFloat-32 would ruin."""

import tensorflow as tf


def full_precision_product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """left right^T `[n, m]` of `[n, k]` and `[m, k]`, with all the bits of their dtype.

    Where TensorFlow would round float32 factors to the 10 bits of TensorFloat-32, as it does on NVIDIA's GPUs unless
    told otherwise, the product is taken in float64: log densities of size 1,000 would else be wrong by half a nat.
    """
    if left.dtype == tf.float32 and rounds_to_tf32():
        exact = tf.matmul(tf.cast(left, tf.float64), tf.cast(right, tf.float64), transpose_b=True)
        return tf.cast(exact, tf.float32)
    return tf.matmul(left, right, transpose_b=True)


def rounds_to_tf32() -> bool:
    """Whether products of float32 may be taken in TensorFloat-32 in this process."""
    return bool(tf.config.experimental.tensor_float_32_execution_enabled() and tf.config.get_visible_devices("GPU"))
