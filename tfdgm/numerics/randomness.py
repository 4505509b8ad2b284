"""Counter-based randomness: every draw is a function of (seed, step, shard, purpose) and nothing else.

There is no generator state to save, so a run resumed at step t draws what an uninterrupted run draws at step t.
"""

import hashlib
import zlib

import numpy as np
import tensorflow as tf


def integer_seed(seed: int, purpose: str) -> int:
    """A seed in [0, 2^31) from an integer and a purpose, for initialisers and NumPy."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF


def root_seed(seed: int, purpose: str) -> tf.Tensor:
    """The stateless seed, int32 `[2]`, at the root of one stream of draws."""
    return tf.constant([seed & 0x7FFFFFFF, integer_seed(seed, purpose)], tf.int32)


def fold(seed: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    """A seed for the `number`-th member of a family of streams."""
    return _non_negative(tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32)))


def fold_purpose(seed: tf.Tensor, purpose: str) -> tf.Tensor:
    """A seed for a named purpose: different names give independent draws at the same step."""
    folded = fold(seed, zlib.crc32(purpose.encode()) & 0x7FFFFFFF)
    # XLA fuses a chain of folds into the draw that uses it and computes the chain again for every element drawn (a
    # step on the digits took 2.6 ms instead of 1.7 ms). The result of a split is two seeds, which it does not fuse.
    return _non_negative(tf.random.split(folded, 2)[0])


def _non_negative(seed: tf.Tensor) -> tf.Tensor:
    """Compiled and eager code widen a negative int32 differently when they derive further seeds from it."""
    return tf.bitwise.bitwise_and(seed, 0x7FFFFFFF)


@tf.function(jit_compile=True, autograph=False)
def uniform_draws(size: int, seed: tf.Tensor, minval: float = 0.0) -> tf.Tensor:
    """Independent draws, uniform on [`minval`, 1), by the generator that is fastest under XLA on a CPU (Threefry).

    TensorFlow has it under XLA only; elsewhere this is a compiled program by itself, and the draws are the same.

    Args:
      size: how many.
      seed: int32 `[2]`, as of `Context.seed_for`.
      minval: the smallest.

    Returns:
      float32 `[size]`; flat, because XLA does not finish compiling some programs with draws of more dimensions.
    """
    return tf.random.stateless_uniform([size], seed, minval=minval, alg="threefry")


def permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of the examples in one epoch, int64 `[size]`.

    Sorts raw Philox words (Salmon et al. 2011), whose stream NumPy guarantees never to change, unlike
    `Generator.permutation`. Ties have probability below size^2 / 2^65 and are broken by position.
    """
    bits = np.random.Philox(key=[seed & 0xFFFFFFFF, epoch]).random_raw(size)
    return np.argsort(bits, kind="stable")
