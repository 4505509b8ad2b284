"""Points of a known distribution in R^d."""

from abc import abstractmethod

import numpy as np

from tfdgm import ArraySource, DataSpec, Source
from tfdgm_data.sampled_splits import SampledSplits


class Toy(SampledSplits):
    """Independent points x of R^d, float32; base class, whose subclasses define `draw` and use `with_split_sizes`.

    Lengths are between 1e-6 and 1e6, or between 0 and 1e6 where 0 is allowed: float32 keeps one decimal of points that
    far out, and their densities stay finite.

    Args:
      dimensions: d.
    """

    def __init__(self, *, dimensions: int) -> None:
        self.spec = DataSpec(shape=(dimensions,))

    @abstractmethod
    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        """Draw `count` points, `[count, d]`."""

    def draw_split(self, name: str, random: np.random.RandomState, count: int) -> Source:
        return ArraySource(self.draw(random, count).astype(np.float32))
