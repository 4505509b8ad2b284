"""Draws of 8 x 8 codes of 256 from the autoregressive prior: with the keys and values of the positions before kept, as
tfdgm draws, and by a pass over the whole grid for each position. A unit is a position of all grids.
"""

from tensorflow_probability import distributions as tfd
from tfdgm_priors.autoregressive import Autoregressive
from work import Size, Work

from contenders.tensorflow_on_cpu import tf
from tfdgm import BuildContext, Context, DataSpec, LatentSpec

CATEGORIES, GRIDS = 256, 64
CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))


def built(size: Size) -> Autoregressive:
    side = size.of(8, 2)
    prior, spec = Autoregressive(), LatentSpec(size=2, positions=(side, side), categories=CATEGORIES)
    prior.build(BuildContext(DataSpec((2,)), spec, 1, lambda indices: indices, seed=0))
    return prior


def by_cache(size: Size) -> Work:
    prior = built(size)

    @tf.function(jit_compile=True, autograph=False)
    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.cast(prior.distribution(CONTEXT).sample(GRIDS, seed=seed), tf.float32))

    return Work(lambda: float(draw(tf.constant([3, 4]))), prior.length)


def by_full_passes(size: Size) -> Work:
    """Only the first few positions, since each takes the same time."""
    prior, passes = built(size), size.of(4, 1)

    def one(position: tf.Tensor, codes: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = tf.gather(prior.logits(codes, CONTEXT), position, axis=1)
        drawn = tfd.Categorical(logits=logits).sample(seed=seeds[position])
        return position + 1, tf.where(tf.range(prior.length) == position, drawn[:, None], codes), seeds

    @tf.function(jit_compile=True, autograph=False)
    def draw(seed: tf.Tensor) -> tf.Tensor:
        start = (tf.constant(0), tf.zeros([GRIDS, prior.length], tf.int32), tf.random.split(seed, prior.length))
        codes = tf.while_loop(lambda position, *_: position < passes, one, start, maximum_iterations=passes)[1]
        return tf.reduce_mean(tf.cast(codes, tf.float32))

    return Work(lambda: float(draw(tf.constant([3, 4]))), passes)
