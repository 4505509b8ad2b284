"""Checks and metrics of the discrete posteriors."""

from collections.abc import Sequence

import tensorflow as tf

from tfdgm import Posterior


def check_positions(posterior: Posterior, positions: Sequence[int]) -> None:
    """Refuse anything but a grid with one or two positive sides."""
    good = len(positions) in (1, 2) and all(side >= 1 for side in positions)
    posterior.require(good, f"positions must be (N,) or (height, width), with positive sides, got {tuple(positions)}")


def usage(one_hot: tf.Tensor, codebooks: int = 1) -> dict[str, tf.Tensor]:
    """Return scalar metrics of drawn codes, pooled over batch and positions.

    `code_perplexity` is exp of the entropy of the codes' frequencies (of the mean entropy of several codebooks), K if
    all are equally frequent; `code_usage` is the share of the codes that occur.

    Args:
      one_hot: `[batch, *positions, K]`, or `[batch, *positions, L, K]` for several codebooks.
      codebooks: L.
    """
    frequencies = tf.reduce_mean(tf.reshape(one_hot, [-1, codebooks, one_hot.shape[-1]]), axis=0)
    entropies = -tf.reduce_sum(tf.math.xlogy(frequencies, frequencies), axis=-1)
    return {
        "code_perplexity": tf.exp(tf.reduce_mean(entropies)),
        "code_usage": tf.reduce_mean(tf.cast(frequencies > 0, tf.float32)),
    }
