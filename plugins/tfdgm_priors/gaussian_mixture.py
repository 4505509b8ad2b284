"""The density of a mixture of diagonal Gaussians, efficient for tens of thousands of components.

    log q_agg(z) = log (1/M) sum_k prod_j N(z_j; m_kj, s_kj^2)

The densities of the components are one matrix product (see `tfdgm.gaussian_log_densities` for its accuracy), accurate
to 1e-3 nats if every mean is within 1.5 million of its standard deviations from the mean of all. Components are
processed in chunks, so that memory does not grow with batch x components.
"""

import math

import tensorflow as tf

from tfdgm import CustomDistribution, full_precision_product, gaussian_log_densities

_PAIRS_AT_ONCE = 1 << 18
#: 32 MB in float32: 128 points and 60,000 components.
_PAIRS_KEPT = 1 << 23


def log_mixture_density(z: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, exclude: tf.Tensor | None = None) -> tf.Tensor:
    """Return the log-density of the equally weighted mixture at z, nats; differentiable in z, not in the components.

    Args:
      z: `[batch, d]`.
      mean, scale: means and scales of the components, `[K, d]`.
      exclude: component to omit for each row, int `[batch]`; the weights are then 1 / (K - 1).

    Returns:
      `[batch]`. Memory is O(batch x chunk), or O(batch x K) if there are few pairs: the gradient then reuses the
      densities instead of recomputing them.
    """
    count, size = mean.shape
    batch = z.shape[0] or 1_000
    chunk = max(64, min(count, _PAIRS_AT_ONCE // batch))
    chunks = -(-count // chunk)
    kept = batch * chunks * chunk <= _PAIRS_KEPT
    # pad the last chunk with copies of a component: zeros would move the origin of its densities
    filled = tf.minimum(tf.range(chunks * chunk), count - 1)
    means, scales = (tf.reshape(tf.gather(each, filled), [chunks, chunk, size]) for each in (mean, scale))
    weight = -math.log(count if exclude is None else count - 1)

    def densities(z: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        """Return weighted log-densities of one chunk, `[batch, chunk]`; -inf for padding and excluded components."""
        index = number * chunk + tf.range(chunk)
        log_density = gaussian_log_densities(z, means[number], scales[number], quick=True) + weight
        if chunks * chunk > count:
            log_density = tf.where(index < count, log_density, tf.constant(-math.inf, z.dtype))
        if exclude is not None:
            own = index == tf.cast(exclude, tf.int32)[:, None]
            log_density = tf.where(own, tf.constant(-math.inf, z.dtype), log_density)
        return log_density

    def pull(z: tf.Tensor, number: tf.Tensor | int, log_density: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        """Return one chunk's part of d/dz = sum_k r_k (m_k - z) / s_k^2, r_k the responsibilities."""
        mean, precision = means[number], 1.0 / tf.square(scales[number])
        summed = full_precision_product(
            tf.exp(log_density - total[:, None]), tf.transpose(tf.concat([mean, precision, mean * precision], axis=1))
        )
        # centred on the responsible components, to avoid cancellation in z / s^2
        centre, weighted, pulled = tf.split(summed, 3, axis=1)
        return pulled - centre * weighted - (z - centre) * weighted

    @tf.custom_gradient
    def density(z: tf.Tensor) -> tuple[tf.Tensor, object]:
        def add(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            chunk_total = tf.reduce_logsumexp(densities(z, number), axis=-1)
            return number + 1, tf.reduce_logsumexp(tf.stack([total, chunk_total]), axis=0)

        if kept:
            every = tf.map_fn(lambda number: densities(z, number), tf.range(chunks), fn_output_signature=z.dtype)
            total = tf.reduce_logsumexp(every, axis=[0, 2])
        else:
            start = (tf.constant(0), tf.fill(tf.shape(z)[:1], tf.constant(-math.inf, z.dtype)))
            _, total = tf.while_loop(lambda number, _: number < chunks, add, start, maximum_iterations=chunks)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            def add_gradient(number: tf.Tensor, accumulated: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                log_density = every[number] if kept else densities(z, number)
                return number + 1, accumulated + pull(z, number, log_density, total)

            _, accumulated = tf.while_loop(
                lambda number, _: number < chunks, add_gradient, (tf.constant(0), tf.zeros_like(z)),
                maximum_iterations=chunks,
            )  # fmt: skip
            return upstream[:, None] * accumulated

        return total, gradient

    return density(z)


class GaussianMixture(CustomDistribution):
    """The equally weighted mixture of M diagonal Gaussians, event shape `[d]`.

    Args:
      mean, scale: `[M, d]`.
      learned: whether gradients reach the components, which takes memory for all pairs.
      exclude: component to omit for each row of `log_prob`'s argument `[batch, d]`, or None; not with `learned`.
    """

    def __init__(self, mean: tf.Tensor, scale: tf.Tensor, *, learned: bool, exclude: tf.Tensor | None = None) -> None:
        super().__init__(dict(locals()), dtype=mean.dtype, event_shape=mean.shape[1:])
        self._means, self._scales, self._learned, self._exclude = mean, scale, learned, exclude

    def _log_prob(self, z: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(z, [-1, self._means.shape[-1]])
        if self._learned:
            count = self._means.shape[0]
            densities = gaussian_log_densities(flat, self._means, self._scales)
            log_prob = tf.reduce_logsumexp(densities, axis=-1) - math.log(count)
        else:
            log_prob = log_mixture_density(flat, self._means, self._scales, self._exclude)
        return tf.reshape(log_prob, tf.shape(z)[:-1])

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        which_seed, noise_seed = tf.unstack(tf.random.split(seed, 2))
        count, size = self._means.shape
        which = tf.random.stateless_uniform([n], which_seed, 0, count, tf.int32)
        noise = tf.random.stateless_normal([n, size], noise_seed, dtype=self.dtype)
        return tf.gather(self._means, which) + tf.gather(self._scales, which) * noise
