"""The autoregressive prior over codes."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Component, Context, Prior


class Autoregressive(Prior):
    """p(c) = prod_i p(c_i | c_1..c_(i-1)), exact, by causal attention over the grid in raster order.

    The network is a decoder of Vaswani et al. 2017, normalised before each block.
    It learns from codes as they are drawn: no gradient passes from it to the posterior, which is trained as under a
    uniform prior. log p(c) takes one pass; a draw takes one pass per position, in one compiled loop.

    Args:
      width: size of a position's representation.
      layers: number of blocks of attention and feed-forward network, pre-normalised.
      heads: number of attention heads; divides `width`.
      dropout: share of each block's output set to 0 in training.
    """

    over = "codes"

    def __init__(self, *, width: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.1) -> None:
        self.require(layers >= 1, f"layers must be at least 1, got {layers}")
        self.require(heads >= 1 and width >= 1 and width % heads == 0, f"heads {heads} does not divide width {width}")
        self.require(0 <= dropout < 1, f"dropout must be in [0, 1), got {dropout}")
        self.width = width
        self.layers = layers
        self.heads = heads
        self.dropout = dropout

    def build(self, context: BuildContext) -> None:
        assert context.latent.positions is not None and context.latent.categories is not None
        self.positions, self.categories = context.latent.positions, context.latent.categories
        self.length = 1
        for side in self.positions:
            self.length *= side
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
        """log p(c_i = k | c_1..c_(i-1)), unnormalised: `[batch, length]` -> `[batch, length, K]`."""
        start = tf.fill([tf.shape(codes)[0], 1], self.categories)
        before = tf.concat([start, codes[:, :-1]], axis=1)
        hidden = tf.gather(self.embeddings.value, before) + self.places.value
        for number, block in enumerate(self.blocks):
            hidden = block(hidden, context.within(f"block {number}"))
        return self.output(self.normalise(hidden))

    def distribution(self, context: Context) -> tfd.Distribution:
        """Event shape `positions`."""
        return AutoregressiveCodes(self, context)


class Block(Component):
    """Causal self-attention and a feed-forward network, each with a residual connection."""

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
        """`[batch, length, width]` -> the same; position i sees 1..i."""
        attended = self.mix(causal_attention(self.attend(self.normalise[0](hidden)), self.heads))
        hidden += self._dropped(attended, "attended", context)
        computed = self.narrow(tf.nn.gelu(self.widen(self.normalise[1](hidden)), approximate=True))
        return hidden + self._dropped(computed, "computed", context)

    def _dropped(self, x: tf.Tensor, purpose: str, context: Context) -> tf.Tensor:
        if not (context.training and self.dropout):
            return x
        return tf.nn.experimental.stateless_dropout(x, self.dropout, seed=context.seed_for(purpose))


def causal_attention(projected: tf.Tensor, heads: int) -> tf.Tensor:
    """softmax(Q K^T / sqrt(d)) V over the positions up to each (Vaswani et al. 2017, equation 1).

    Args:
      projected: queries, keys and values side by side, `[batch, length, 3 width]`.
      heads: number of heads that `width` is divided among.

    Returns:
      `[batch, length, width]`.
    """
    batch, length, width = tf.shape(projected)[0], projected.shape[1], projected.shape[2] // 3
    split = tf.reshape(projected, [batch, length, 3, heads, width // heads])
    query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))
    scores = tf.matmul(query, key, transpose_b=True) / (width // heads) ** 0.5
    future = tf.linalg.band_part(tf.ones([length, length]), -1, 0) == 0
    weights = tf.nn.softmax(tf.where(future, -1e9, scores))
    return tf.reshape(tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), [batch, length, width])


def dense(inputs: int, outputs: int, context: BuildContext, purpose: str) -> keras.layers.Dense:
    """A built Dense layer with small normal weights, as transformers start with."""
    initializer = keras.initializers.RandomNormal(stddev=0.02, seed=context.seed_for(purpose))
    layer = keras.layers.Dense(outputs, kernel_initializer=initializer)
    layer.build((None, inputs))
    return layer


class AutoregressiveCodes(tfd.Distribution):
    """The distribution over grids of codes that the prior's network describes."""

    def __init__(self, prior: Autoregressive, context: Context) -> None:
        parameters = dict(locals())
        self._prior, self._context = prior, context
        super().__init__(
            dtype=tf.int32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
        )

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape(self._prior.positions)

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant(self._prior.positions, tf.int32)

    def _batch_shape(self) -> tf.TensorShape:
        return tf.TensorShape([])

    def _batch_shape_tensor(self) -> tf.Tensor:
        return tf.constant([], tf.int32)

    def _log_prob(self, codes: tf.Tensor) -> tf.Tensor:
        codes = tf.convert_to_tensor(codes)
        flat = tf.reshape(codes, [-1, self._prior.length])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(flat, self._prior.logits(flat, self._context))
        leading = tf.shape(codes)[: tf.rank(codes) - len(self._prior.positions)]
        return tf.reshape(-tf.reduce_sum(losses, axis=-1), leading)

    def sample_with_probabilities(self, number: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Codes `[number, *positions]`, and p(c_i | c_<i) that each was drawn from, `[number, *positions, K]`."""
        codes = self._sample_n(number, seed)
        logits = self._prior.logits(tf.reshape(codes, [-1, self._prior.length]), self._context)
        return codes, tf.reshape(tf.nn.softmax(logits), [*codes.shape, logits.shape[-1]])

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws one position after the other."""
        length = self._prior.length
        seeds = tf.random.split(seed, length)

        def draw(position: tf.Tensor, codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = tf.gather(self._prior.logits(codes, self._context), position, axis=1)
            drawn = tfd.Categorical(logits=logits).sample(seed=seeds[position])
            here = tf.range(length) == position
            return position + 1, tf.where(here, drawn[:, None], codes)

        start = (tf.constant(0), tf.zeros([n, length], tf.int32))
        _, codes = tf.while_loop(lambda position, _: position < length, draw, start, maximum_iterations=length)
        return tf.reshape(codes, [n, *self._prior.positions])

    def _default_event_space_bijector(self) -> None:
        return None
