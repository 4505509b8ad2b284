"""Log densities of many Gaussians at many points, all pairs by one matrix product.

    log N(z; m, S) = -(1/2) [ (z - o)' P (z - o) - 2 (z - o)' P (m - o) + (m - o)' P (m - o) + log det 2 pi S ]

with P = S^-1, for any origin o; o is the mean of all m. Memory is O(points x Gaussians); the differences z - m of all
pairs would take d times as much.

The terms have size T = (m - o)' P (m - o) and cancel. Near a Gaussian, where log N matters, the error is at most
4 T 2^-53 nats: 1e-3 for T = 2e12, in one dimension a distance |m - o| of 1.5 million standard deviations. An offset
common to all m does not matter. In float32 it is at most 4 T 2^-24: 1e-3 for T = 4,096, or 64 standard deviations.
"""

import math

import tensorflow as tf

from tfdgm.numerics.products import full_precision_product

#: The largest T for which float32 is accurate to 1e-3 nats.
_LARGEST_TERM = 4096.0


def gaussian_log_densities(z: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, *, quick: bool = False) -> tf.Tensor:
    """Return log N(z_b; m_k, S_k) for all pairs, nats, `[batch, K]`; the module documents formula and error.

    Args:
      z: points `[batch, d]`.
      mean: m `[K, d]`.
      scale: `[K, d]`, standard deviations for S = diag(s^2); or `[K, d, d]`, lower triangular L for S = L L'.
      quick: whether to compute in float32 for diagonal S, where that is accurate to 1e-3 nats.
    """
    if quick and z.dtype == tf.float32 and mean.shape.rank == scale.shape.rank:
        centred = mean - tf.reduce_mean(mean, axis=0)
        largest = tf.reduce_max(tf.reduce_sum(tf.square(centred / scale), axis=1))
        return tf.cond(
            largest < _LARGEST_TERM,
            lambda: _log_densities(z, mean, scale),
            lambda: _in_float64(z, mean, scale),
        )
    return _in_float64(z, mean, scale)


def _in_float64(z: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    return tf.cast(_log_densities(*(tf.cast(tensor, tf.float64) for tensor in (z, mean, scale))), z.dtype)


def _log_densities(z: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    origin = tf.stop_gradient(tf.reduce_mean(mean, axis=0))  # the density does not depend on it
    z, mean = z - origin, mean - origin
    if scale.shape.rank == mean.shape.rank:
        squares, precision = tf.square(z), 1 / tf.square(scale)
        weighted, log_scales = mean * precision, tf.math.log(scale)
    else:
        size = z.shape[-1]
        squares = tf.reshape(z[:, :, None] * z[:, None, :], [-1, size * size])
        inverse = tf.linalg.triangular_solve(scale, tf.eye(size, batch_shape=tf.shape(scale)[:1], dtype=z.dtype))
        matrix = tf.matmul(inverse, inverse, transpose_a=True)
        precision, weighted = tf.reshape(matrix, [-1, size * size]), tf.linalg.matvec(matrix, mean)
        log_scales = tf.math.log(tf.linalg.diag_part(scale))
    constant = tf.reduce_sum(mean * weighted + 2 * log_scales + math.log(2 * math.pi), axis=1)
    left = tf.concat([squares, z, tf.ones_like(z[:, :1])], axis=1)
    right = tf.concat([precision, -2 * weighted, constant[:, None]], axis=1)
    return full_precision_product(left, right) / -2
