"""Checks and metrics of the discrete posteriors."""

from collections.abc import Sequence

import tensorflow as tf

from tfdgm import Posterior


def check_positions(posterior: Posterior, positions: Sequence[int]) -> None:
    """Refuse anything but a grid with one or two positive sides."""
    good = len(positions) in (1, 2) and all(side >= 1 for side in positions)
    posterior.require(good, f"positions must be (N,) or (height, width), with positive sides, got {tuple(positions)}")


def usage(one_hot: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return scalar metrics of drawn codes, one-hot `[batch, *positions, K]`, pooled over batch and positions.

    `code_perplexity` is exp of the entropy of the codes' frequencies, K if all are equally frequent; `code_usage` is
    the share of the K codes that occur.
    """
    frequencies = tf.reduce_mean(tf.reshape(one_hot, [-1, one_hot.shape[-1]]), axis=0)
    return {
        "code_perplexity": tf.exp(-tf.reduce_sum(tf.math.xlogy(frequencies, frequencies))),
        "code_usage": tf.reduce_mean(tf.cast(frequencies > 0, tf.float32)),
    }
