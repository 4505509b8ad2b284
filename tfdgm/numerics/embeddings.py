"""Vectors of codes: rows of one codebook E `[K, C]`, or sums of one row from each of L codebooks `[L, K, C]`.

With L codebooks, code c_l of each l selects the vector sum_l e_{l, c_l} (Zeghidour et al. 2021; Lee et al. 2022).
"""

import tensorflow as tf


def embed_codes(codes: tf.Tensor, codebook: tf.Tensor) -> tf.Tensor:
    """Return e_c, `[..., C]`, for integer codes c.

    Args:
      codes: `[...]` for E `[K, C]`, `[..., L]` for E `[L, K, C]`.
      codebook: E.
    """
    if codebook.shape.rank == 2:
        return tf.gather(codebook, codes)
    count, categories, size = codebook.shape
    first = tf.cast(categories * tf.range(count), codes.dtype)
    return tf.reduce_sum(tf.gather(tf.reshape(codebook, [-1, size]), first + codes), axis=-2)


def embed_one_hot(one_hot: tf.Tensor, codebook: tf.Tensor) -> tf.Tensor:
    """Return y E, `[..., C]`, with gradients for both factors.

    Args:
      one_hot: y, one-hot codes or points of the simplex, `[..., K]` for E `[K, C]`, `[..., L, K]` for E `[L, K, C]`.
      codebook: E.
    """
    return tf.tensordot(one_hot, codebook, axes=codebook.shape.rank - 1)
