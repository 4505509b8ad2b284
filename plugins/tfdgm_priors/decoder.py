"""Blocks of a causal decoder (Vaswani et al. 2017), for whole sequences and for one position at a time."""

import keras
import tensorflow as tf

from tfdgm import BuildContext, Component, Context

#: Keys and values of all positions, each `[batch * heads, length, width / heads]`; positions not yet written are 0.
Cache = tuple[tf.Tensor, tf.Tensor]

#: Replaces log 0: its exponential is 0 relative to any other score.
_LOG_ZERO = -1e9


class Block(Component):
    """Causal self-attention and a feed-forward network, each with normalised input and a residual connection."""

    def __init__(self, width: int, heads: int, dropout: float, context: BuildContext) -> None:
        self.heads = heads
        self.dropout = dropout
        self.normalise = [keras.layers.LayerNormalization() for _ in range(2)]
        for layer in self.normalise:
            layer.build((None, None, width))
        self.attend = dense(width, 3 * width, context, "attend")
        self.mix = dense(width, width, context, "mix")
        self.widen = dense(width, 4 * width, context, "widen")
        self.narrow = dense(4 * width, width, context, "narrow")

    def __call__(self, hidden: tf.Tensor, context: Context) -> tf.Tensor:
        """Map `[batch, length, width]` to the same shape; position i depends on positions 1..i."""
        attended = causal_attention(self._projected(hidden), self.heads)
        return self._transform(hidden, attended, self.dropout_masks(tf.shape(hidden), context))

    def step(
        self, hidden: tf.Tensor, position: tf.Tensor, cache: Cache, masks: list[tf.Tensor]
    ) -> tuple[tf.Tensor, Cache]:
        """Compute one position of the result of `__call__`.

        Args:
          hidden: `[batch, width]`.
          position: int32 scalar, counted from 0.
          cache: keys and values of earlier positions.
          masks: result of `dropout_masks` for the whole sequence.

        Returns:
          `[batch, width]`, and the cache with this position in it.
        """
        attended, cache = cached_attention(self._projected(hidden), self.heads, position, cache)
        return self._transform(hidden, attended, [tf.gather(mask, position, axis=1) for mask in masks]), cache

    def dropout_masks(self, shape: tf.Tensor, context: Context) -> list[tf.Tensor]:
        """Return factors 0 or 1 / (1 - dropout) of the outputs of attention and network; none outside training.

        Args:
          shape: `(batch, length, width)`.
          context: context of the call.
        """
        if not (context.training and self.dropout):
            return []
        seeds = [context.seed_for(purpose) for purpose in ("attended", "computed")]
        return [tf.nn.experimental.stateless_dropout(tf.ones(shape), self.dropout, seed=seed) for seed in seeds]

    def _projected(self, hidden: tf.Tensor) -> tf.Tensor:
        """Return queries, keys and values, concatenated."""
        return self.attend(self.normalise[0](hidden))

    def _transform(self, hidden: tf.Tensor, attended: tf.Tensor, masks: list[tf.Tensor]) -> tf.Tensor:
        """Apply the rest of the block, position by position, to its input and the attention's result `[..., width]`."""
        attended = self.mix(attended)
        hidden += attended * masks[0] if masks else attended
        computed = self.narrow(tf.nn.gelu(self.widen(self.normalise[1](hidden)), approximate=True))
        return hidden + (computed * masks[1] if masks else computed)


def causal_attention(projected: tf.Tensor, heads: int) -> tf.Tensor:
    """Return softmax(Q K^T / sqrt(d)) V over each position and those before (Vaswani et al. 2017, equation 1).

    Args:
      projected: queries, keys and values, concatenated, `[batch, length, 3 width]`.
      heads: number of heads; divides `width`.

    Returns:
      `[batch, length, width]`.
    """
    batch, length, width = tf.shape(projected)[0], projected.shape[1], projected.shape[2] // 3
    split = tf.reshape(projected, [batch, length, 3, heads, width // heads])
    query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))
    scores = tf.matmul(query, key, transpose_b=True) / (width // heads) ** 0.5
    future = tf.linalg.band_part(tf.ones([length, length]), -1, 0) == 0
    weights = tf.nn.softmax(tf.where(future, _LOG_ZERO, scores))
    return tf.reshape(tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), [batch, length, width])


def cached_attention(projected: tf.Tensor, heads: int, position: tf.Tensor, cache: Cache) -> tuple[tf.Tensor, Cache]:
    """Return `causal_attention` at one position, given the keys and values of earlier positions.

    Args:
      projected: query, key and value at `position`, concatenated, `[batch, 3 width]`.
      heads: number of heads; divides `width`.
      position: int32 scalar, counted from 0.
      cache: keys and values of earlier positions.

    Returns:
      `[batch, width]`, and the cache with this position in it.
    """
    keys, values = cache
    rows, length, size = tf.shape(keys)[0], keys.shape[1], keys.shape[2]
    split = tf.reshape(projected, [-1, 3, heads, size])
    query, key, value = (tf.reshape(part, [rows, size]) for part in tf.unstack(split, axis=1))
    # one row per example and head: with the position in front, XLA would transpose the cache at each step
    here = tf.stack([tf.range(rows), tf.fill([rows], position)], axis=1)
    keys = tf.tensor_scatter_nd_update(keys, here, key)
    values = tf.tensor_scatter_nd_update(values, here, value)
    scores = tf.matmul(query[:, None], keys, transpose_b=True) / size**0.5
    weights = tf.nn.softmax(tf.where(tf.range(length) > position, _LOG_ZERO, scores))
    return tf.reshape(tf.matmul(weights, values), [-1, heads * size]), (keys, values)


def empty_cache(batch: int | tf.Tensor, heads: int, length: int, width: int) -> Cache:
    """Return the cache before the first position."""
    nothing = tf.zeros([batch * heads, length, width // heads])
    return nothing, nothing


def dense(inputs: int, outputs: int, context: BuildContext, purpose: str) -> keras.layers.Dense:
    """Return a built Dense layer with weights from N(0, 0.02^2)."""
    initializer = keras.initializers.RandomNormal(stddev=0.02, seed=context.seed_for(purpose))
    layer = keras.layers.Dense(outputs, kernel_initializer=initializer)
    layer.build((None, inputs))
    return layer
