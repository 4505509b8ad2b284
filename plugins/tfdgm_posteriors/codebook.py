"""A learned codebook: how z chooses its codes, and how they learn from the z that chose them."""

from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from tfdgm import Component, Concatenated, Context, Summed, straight_through

#: "ema" for moving averages, "gradient" for a loss.
Learning = Literal["ema", "gradient"]

#: Weight of a code's current vector in its average, which keeps a code in place if no z chooses it.
_SMOOTHING = 1e-5


class Codebook(Component):
    """K codes e_k in R^C, and moving averages of the z that chose each.

    Args:
      vectors: the codes at the start, `[K, C]`.
      learning: "ema" moves each code to the moving average of its z; "gradient" leaves it to the loss.
      decay: decay of the moving averages.
      restart_below: a code whose moving-average count is below this share of the mean count is restarted.
    """

    def __init__(self, vectors: np.ndarray, *, learning: Learning, decay: float, restart_below: float) -> None:
        self.learning = learning
        self.decay = decay
        self.restart_below = restart_below
        self.embeddings = keras.Variable(vectors, trainable=learning == "gradient", name="codebook")
        self.counts = keras.Variable(tf.ones([len(vectors)]), trainable=False, name="counts")
        if learning == "ema":
            self.sums = keras.Variable(vectors, trainable=False, name="sums")

    def value(self) -> tf.Tensor:
        """Return E, `[K, C]`."""
        return self.embeddings.value

    def learn(self, z: tf.Tensor, codes: tf.Tensor, context: Context) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Submit this batch's choices of codes, from which `update_statistics` learns.

        Args:
          z: `[batch, *positions, C]`.
          codes: the codes c that z chose, `[batch, *positions]`.
          context: of the posterior's call.

        Returns:
          The losses `[batch]`: `commitment`, sum_i |z_i - sg(e_c)|^2, and for codes that learn by gradient `codebook`,
          sum_i |sg(z_i) - e_c|^2. And E `[K, C]`; the gradient at averaged codes reaches the z that chose them.
        """
        codebook = self.value()
        chosen = tf.gather(codebook, codes)
        every_axis = list(range(1, z.shape.rank))
        losses = {"commitment": tf.reduce_sum(tf.square(z - tf.stop_gradient(chosen)), axis=every_axis)}
        if self.learning == "gradient":
            losses["codebook"] = tf.reduce_sum(tf.square(tf.stop_gradient(z) - chosen), axis=every_axis)
        batch, *positions, size = z.shape
        per_example = int(np.prod(positions))
        rows = tf.reshape(z, [-1, size])
        choices = tf.reshape(tf.one_hot(codes, codebook.shape[0]), [-1, codebook.shape[0]])
        counts, sums = tf.reduce_sum(choices, axis=0), tf.matmul(choices, rows, transpose_a=True)
        which = tf.random.stateless_uniform([batch], context.seed_for("candidates"), 0, per_example, tf.int32)
        context.collect(
            self,
            counts=Summed(counts),
            sums=Summed(tf.stop_gradient(sums)),
            candidates=Concatenated(tf.stop_gradient(tf.gather(rows, tf.range(batch) * per_example + which))),
        )
        if self.learning == "ema":
            codebook = straight_through(codebook, sums / tf.maximum(counts, 1.0)[:, None])
        return losses, codebook

    def update_statistics(self, totals: dict[str, tf.Tensor], context: Context) -> None:
        """Update the moving averages, then the codes, then restart dead codes."""
        counts = moving_average(self.counts.value, totals["counts"], self.decay)
        vectors = self.embeddings.value + 0.0
        if self.learning == "ema":
            sums = moving_average(self.sums.value, totals["sums"], self.decay)
            vectors = (sums + _SMOOTHING * vectors) / (counts + _SMOOTHING)[:, None]
        mean = tf.reduce_mean(counts)
        dead, candidates = restarts(counts < self.restart_below * mean, totals["candidates"])
        counts = tf.where(dead, mean, counts)
        vectors = tf.where(dead[:, None], candidates, vectors)
        self.counts.value.assign(counts)
        self.embeddings.value.assign(vectors)
        if self.learning == "ema":
            self.sums.value.assign(tf.where(dead[:, None], counts[:, None] * vectors, sums))


def nearest(z: tf.Tensor, codebook: tf.Tensor) -> tf.Tensor:
    """Return argmin_k |z - e_k|^2, int32 `[...]`, for z `[..., C]` and E `[K, C]`."""
    distances = tf.reduce_sum(tf.square(codebook), axis=1) - 2 * tf.tensordot(z, codebook, [[-1], [1]])
    return tf.argmin(distances, axis=-1, output_type=tf.int32)


def moving_average(old: tf.Tensor, new: tf.Tensor, decay: float) -> tf.Tensor:
    """Return decay * old + (1 - decay) * new."""
    return decay * old + (1 - decay) * new


def restarts(dead: tf.Tensor, candidates: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Choose which dead codes restart now, bool `[K]`, and where, `[K, C]`: the r-th one at the r-th candidate.

    If there are more dead codes than candidates, the rest wait for the next step.
    """
    rank = tf.cumsum(tf.cast(dead, tf.int32)) - 1
    count = tf.shape(candidates)[0]
    return dead & (rank < count), tf.gather(candidates, tf.clip_by_value(rank, 0, count - 1))
