"""Mixtures of products of categoricals: the aggregated posterior over codes."""

import math

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import CustomDistribution, mixture_densities

_PAIRS_AT_ONCE = 1 << 26


class CategoricalMixture(CustomDistribution):
    """(1/M) sum_m prod_i Categorical(c_i; p_mi) over grids of codes.

    Args:
      log_probabilities: log p_mi(k), `[M, *positions, K]`, finite.
      exclude: component to omit for each row of `log_prob`'s argument `[batch, *positions]`, or None.
    """

    def __init__(self, log_probabilities: tf.Tensor, *, exclude: tf.Tensor | None = None) -> None:
        super().__init__(dict(locals()), dtype=tf.int32, event_shape=log_probabilities.shape[1:-1])
        self._log_probabilities, self._exclude = log_probabilities, exclude

    def relaxed_log_prob(self, grids: tf.Tensor) -> tf.Tensor:
        """Return log (1/M) sum_m exp sum_ik y_ik log p_mi(k) `[batch]` at y `[batch, *positions, K]`.

        At one-hot y it is the log-probability.
        """
        return self._log_mean(grids, self._exclude)

    def _log_mean(self, grids: tf.Tensor, exclude: tf.Tensor | None) -> tf.Tensor:
        count = self._log_probabilities.shape[0]
        densities = mixture_densities(grids, self._log_probabilities)
        if exclude is not None:
            own = tf.range(count) == tf.cast(exclude, tf.int32)[:, None]
            densities = tf.where(own, tf.constant(-math.inf, densities.dtype), densities)
            count -= 1
        return tf.reduce_logsumexp(densities, axis=-1) - math.log(count)

    def _log_prob(self, codes: tf.Tensor) -> tf.Tensor:
        codes = tf.convert_to_tensor(codes)
        count, *positions, categories = self._log_probabilities.shape
        flat = tf.reshape(codes, [-1, *positions])
        dtype = self._log_probabilities.dtype
        at_once = max(1, _PAIRS_AT_ONCE // count)
        if flat.shape[0] is None or flat.shape[0] <= at_once:
            log_prob = self.relaxed_log_prob(tf.one_hot(flat, categories, dtype=dtype))
        else:  # keeps memory from growing with batch x components
            chunks = -(-flat.shape[0] // at_once)
            filling = [0, chunks * at_once - flat.shape[0]]
            blocks = tf.reshape(tf.pad(flat, [filling, *[[0, 0]] * len(positions)]), [chunks, at_once, *positions])
            exclude = self._exclude
            if exclude is not None:
                exclude = tf.reshape(tf.pad(exclude, [filling]), [chunks, at_once])

            def block_log_prob(number: tf.Tensor) -> tf.Tensor:
                grids = tf.one_hot(blocks[number], categories, dtype=dtype)
                return self._log_mean(grids, None if exclude is None else exclude[number])

            log_prob = tf.map_fn(block_log_prob, tf.range(chunks), fn_output_signature=dtype)
            log_prob = tf.reshape(log_prob, [-1])[: flat.shape[0]]
        return tf.reshape(log_prob, tf.shape(codes)[: codes.shape.rank - len(positions)])

    def sample_with_probabilities(self, number: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return codes `[number, *positions]`, and the probabilities of their components, `[number, *positions, K]`."""
        which_seed, code_seed = tf.unstack(tf.random.split(seed, 2))
        which = tf.random.stateless_uniform([number], which_seed, 0, self._log_probabilities.shape[0], tf.int32)
        chosen = tfd.Categorical(logits=tf.gather(self._log_probabilities, which))
        return chosen.sample(seed=code_seed), chosen.probs_parameter()

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.sample_with_probabilities(n, seed)[0]
