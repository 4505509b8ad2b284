"""Binary pixels drawn from grey levels."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import tensorflow as tf

from tfdgm import Context, Source, uniform_draws

Binarization = Literal["none", "dynamic", "static"]

#: Seeds of the fixed binary pixels of each split.
_SEEDS = {"test": 1, "validation": 2, "train": 3}


def draw_pixels(grey: tf.Tensor, context: Context) -> tf.Tensor:
    """Draw every pixel from Bernoulli(grey), grey in [0, 1]; pixels that are 0 or 1 do not change."""
    uniform = uniform_draws(math.prod(grey.shape), context.seed_for("binarization"))
    return tf.cast(tf.reshape(uniform, tf.shape(grey)) < grey, tf.float32)


def observe_bytes(rows: tf.Tensor, binarization: Binarization, context: Context) -> tf.Tensor:
    """Scale bytes to [0, 1], and draw binary pixels if binarization is dynamic. Traced."""
    grey = tf.cast(rows, tf.float32) / 255.0
    return draw_pixels(grey, context) if binarization == "dynamic" else grey


class Binarized(Source):
    """Bytes 0 and 255 drawn once from grey bytes: row i is `Generator(Philox(key=[seed, i])).random(shape) < grey`."""

    def __init__(self, source: Source, seed: int) -> None:
        self.source = source
        self.seed = seed
        self.shape = source.shape
        self.dtype = np.uint8

    def __len__(self) -> int:
        return len(self.source)

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        return self.source.conditions(indices)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        grey = self.source.gather(indices) / 255.0
        keys = [np.random.Philox(key=[self.seed, int(index)]) for index in indices]
        uniform = np.stack([np.random.Generator(key).random(self.shape) for key in keys])
        return np.where(uniform < grey, 255, 0).astype(np.uint8)


def binarized(sources: Mapping[str, Source], binarization: Binarization) -> dict[str, Source]:
    """Return the splits by name, with those binarised that are fixed: all if static, all but training if dynamic.

    Args:
      sources: grey bytes by the name of the split.
      binarization: of the data.
    """
    fixed = {"none": (), "dynamic": ("validation", "test"), "static": tuple(_SEEDS)}[binarization]
    return {name: Binarized(source, _SEEDS[name]) if name in fixed else source for name, source in sources.items()}


def describe_binarization(splits: Iterable[str], binarization: Binarization) -> dict[str, str]:
    """Return how the pixels of each split become binary, for `Data.describe`; nothing for grey levels."""
    if binarization == "none":
        return {}
    return {
        f"binarization_{name}": "dynamic: Bernoulli(grey) at every step"
        if binarization == "dynamic" and name == "train"
        else f"static: Philox(key=[{_SEEDS[name]}, row])"
        for name in splits
    }
