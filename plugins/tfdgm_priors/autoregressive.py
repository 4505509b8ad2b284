"""The autoregressive prior over codes."""

import math
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, CustomDistribution, Prior
from tfdgm_priors.decoder import Block, Cache, dense, empty_cache


class Autoregressive(Prior):
    """p(c) = prod_i p(c_i | c_1..c_(i-1)), computed by causal attention over the grid in raster order.

    With L codes per position, those of a position follow each other (order of Lee et al. 2022, section 3.2).
    The network is the decoder of Vaswani et al. 2017 with normalisation before each block. It learns from the drawn
    codes: no gradient reaches the posterior, which is trained as under a uniform prior. log p(c) takes one pass over
    the grid; a draw takes one pass per position, in a compiled loop that caches the keys and values of earlier
    positions: 2 layers * length * width floats per grid.

    Args:
      width: size of the representation of a position.
      layers: number of blocks of attention and feed-forward network.
      heads: number of attention heads; must divide `width`.
      dropout: dropout probability of each block's outputs in training.
    """

    over = "codes"

    def __init__(self, *, width: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.1) -> None:
        self.require(layers >= 1, f"layers must be at least 1, got {layers}")
        self.require(
            heads >= 1 and width >= 1 and width % heads == 0,
            f"heads must divide width, both positive, got {heads} and {width}",
        )
        self.require(0 <= dropout < 1, f"dropout must be in [0, 1), got {dropout}")
        self.width = width
        self.layers = layers
        self.heads = heads
        self.dropout = dropout

    def build(self, context: BuildContext) -> None:
        assert context.latent.categories is not None
        self.event_shape, self.categories = context.latent.event_shape, context.latent.categories
        self.length = math.prod(self.event_shape)
        normal = keras.initializers.RandomNormal(stddev=0.02, seed=context.seed_for("embeddings"))
        self.embeddings = keras.Variable(normal([self.categories + 1, self.width]), name="embeddings")
        normal = keras.initializers.RandomNormal(stddev=0.02, seed=context.seed_for("places"))
        self.places = keras.Variable(normal([self.length, self.width]), name="places")
        self.blocks = [
            Block(self.width, self.heads, self.dropout, context.within(f"block {number}"))
            for number in range(self.layers)
        ]
        self.normalise = keras.layers.LayerNormalization()
        self.normalise.build((None, self.length, self.width))
        self.output = dense(self.width, self.categories, context, "output")

    def logits(self, codes: tf.Tensor, context: Context) -> tf.Tensor:
        """Return logits of p(c_i | c_1..c_(i-1)), `[batch, length, K]`, for codes `[batch, length]`."""
        start = tf.fill([tf.shape(codes)[0], 1], self.categories)
        before = tf.concat([start, codes[:, :-1]], axis=1)
        hidden = tf.gather(self.embeddings.value, before) + self.places.value
        for number, block in enumerate(self.blocks):
            hidden = block(hidden, context.within(f"block {number}"))
        return self.output(self.normalise(hidden))

    def draw(self, number: int | tf.Tensor, seed: tf.Tensor, context: Context) -> tf.Tensor:
        """Draw `number` grids of codes, `[number, length]`, position by position."""
        seeds = tf.random.split(seed, self.length)
        shape = (number, self.length, self.width)
        masks = [
            block.dropout_masks(shape, context.within(f"block {layer}")) for layer, block in enumerate(self.blocks)
        ]

        def step(position: tf.Tensor, before: tf.Tensor, codes: tf.Tensor, caches: list[Cache]) -> tuple[Any, ...]:
            hidden = tf.gather(self.embeddings.value, before) + self.places.value[position]
            after = []
            for block, cache, mask in zip(self.blocks, caches, masks, strict=True):
                hidden, cache = block.step(hidden, position, cache, mask)
                after.append(cache)
            logits = self.output(self.normalise(hidden))
            drawn = tfd.Categorical(logits=logits).sample(seed=seeds[position])
            codes = tf.where(tf.range(self.length) == position, drawn[:, None], codes)
            return position + 1, drawn, codes, after

        codes = tf.zeros([number, self.length], tf.int32)
        start = (tf.constant(0), tf.fill([number], self.categories), codes, self.empty_caches(number))
        _, _, codes, _ = tf.while_loop(
            lambda position, *_: position < self.length, step, start, maximum_iterations=self.length
        )
        return codes

    def empty_caches(self, number: int | tf.Tensor) -> list[Cache]:
        """Return the blocks' caches before the first position."""
        return [empty_cache(number, self.heads, self.length, self.width) for _ in self.blocks]

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return p(c) over the grid of codes."""
        return AutoregressiveCodes(self, context)


class AutoregressiveCodes(CustomDistribution):
    """The distribution over grids of codes that the network of `prior` parametrises."""

    def __init__(self, prior: Autoregressive, context: Context) -> None:
        super().__init__(dict(locals()), dtype=tf.int32, event_shape=prior.event_shape)
        self._prior, self._context = prior, context

    def _log_prob(self, codes: tf.Tensor) -> tf.Tensor:
        codes = tf.convert_to_tensor(codes)
        flat = tf.reshape(codes, [-1, self._prior.length])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(flat, self._prior.logits(flat, self._context))
        leading = tf.shape(codes)[: tf.rank(codes) - len(self._prior.event_shape)]
        return tf.reshape(-tf.reduce_sum(losses, axis=-1), leading)

    def sample_with_probabilities(self, number: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return codes `[number, *event_shape]`, and p(c_i | c_<i) for each, `[number, *event_shape, K]`."""
        codes = self._sample_n(number, seed)
        # A separate pass for the gradient: differentiating the loop would keep the cache of every step.
        logits = self._prior.logits(tf.reshape(codes, [-1, self._prior.length]), self._context)
        return codes, tf.reshape(tf.nn.softmax(logits), [-1, *self._prior.event_shape, self._prior.categories])

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        known = tf.get_static_value(n)  # keep shapes static if possible
        codes = self._prior.draw(n if known is None else int(known), seed, self._context)
        return tf.reshape(codes, [n, *self._prior.event_shape])
