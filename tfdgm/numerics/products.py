"""Matrix products whose terms cancel, for which TensorFloat-32 is too coarse."""

import tensorflow as tf


def full_precision_product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Return left right^T `[n, m]`, for `[n, k]` and `[m, k]`, in the full precision of their dtype.

    On NVIDIA GPUs TensorFlow by default rounds float32 factors to the 10 bits of TensorFloat-32, an error of half a nat
    for log densities of size 1,000. There the product is computed in float64.
    """
    if left.dtype == tf.float32 and rounds_to_tf32():
        exact = tf.matmul(tf.cast(left, tf.float64), tf.cast(right, tf.float64), transpose_b=True)
        return tf.cast(exact, tf.float32)
    return tf.matmul(left, right, transpose_b=True)


def rounds_to_tf32() -> bool:
    """Return whether this process may compute float32 products in TensorFloat-32."""
    return bool(tf.config.experimental.tensor_float_32_execution_enabled() and tf.config.get_visible_devices("GPU"))
