"""Grey levels as binary pixels."""

from typing import Literal

import numpy as np
import tensorflow as tf

from tfdgm import Context, Source

Binarization = Literal["none", "dynamic", "static"]


def draw_pixels(grey: tf.Tensor, context: Context) -> tf.Tensor:
    """Bernoulli(grey) for every pixel, grey in [0, 1]; pixels that are 0 or 1 stay as they are."""
    uniform = _uniform(grey, context.seed_for("binarization"))
    return tf.cast(tf.reshape(uniform, tf.shape(grey)) < grey, tf.float32)


@tf.function(jit_compile=True, autograph=False)
def _uniform(like: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """As many numbers as `like` has.

    Threefry is the fastest generator under XLA on a CPU, where these draws are most of a small model's step. Outside of
    XLA TensorFlow has no such generator: this is a program by itself there.
    """
    return tf.random.stateless_uniform([tf.size(like)], seed=seed, alg="threefry")


class Binarized(Source):
    """Bytes 0 and 255, drawn once from grey: in row i `Generator(Philox(key=[seed, i])).random(shape) < grey`."""

    def __init__(self, source: Source, seed: int) -> None:
        self.source = source
        self.seed = seed
        self.shape = source.shape
        self.dtype = np.uint8

    def __len__(self) -> int:
        return len(self.source)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        grey = self.source.gather(indices) / 255.0
        keys = [np.random.Philox(key=[self.seed, int(index)]) for index in indices]
        uniform = np.stack([np.random.Generator(key).random(self.shape) for key in keys])
        return np.where(uniform < grey, 255, 0).astype(np.uint8)
