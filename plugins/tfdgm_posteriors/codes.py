"""What the discrete posteriors share."""

from collections.abc import Sequence

import tensorflow as tf

from tfdgm import Posterior


def check_positions(posterior: Posterior, positions: Sequence[int]) -> None:
    """Refuses anything but a grid of one or two positive sides."""
    good = len(positions) in (1, 2) and all(side >= 1 for side in positions)
    posterior.require(good, f"positions must be (N,) or (height, width), all positive, got {tuple(positions)}")


def usage(one_hot: tf.Tensor) -> dict[str, tf.Tensor]:
    """What to log of drawn codes, one-hot `[batch, *positions, K]`: over all positions of the batch together, scalars.

    `code_perplexity` is exp of the entropy of their frequencies, K where all are used alike; `code_usage` is the share
    of codes that occur.
    """
    frequencies = tf.reduce_mean(tf.reshape(one_hot, [-1, one_hot.shape[-1]]), axis=0)
    return {
        "code_perplexity": tf.exp(-tf.reduce_sum(tf.math.xlogy(frequencies, frequencies))),
        "code_usage": tf.reduce_mean(tf.cast(frequencies > 0, tf.float32)),
    }
