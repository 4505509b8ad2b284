"""Points of a known law: what all toys share."""

from abc import abstractmethod

import numpy as np

from tfdgm import ArraySource, DataSpec, Source
from tfdgm_data.sampled_splits import SampledSplits


class Toy(SampledSplits):
    """Points x of R^d, float32.

    Lengths are from 1e-6 to 1e6, and those that may be 0 at most 1e6: of points that far out float32 keeps the first
    decimal, and densities of them stay finite.

    Args:
      dimensions: d.
      num_train, num_validation, num_test, sample_seed: as for everything that is drawn.
    """

    def __init__(
        self, *, dimensions: int, num_train: int, num_validation: int, num_test: int, sample_seed: int
    ) -> None:
        super().__init__(num_train=num_train, num_validation=num_validation, num_test=num_test, sample_seed=sample_seed)
        self.spec = DataSpec(shape=(dimensions,))

    @abstractmethod
    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        """`count` points x `[count, d]`."""

    def draw_split(self, name: str, random: np.random.RandomState, count: int) -> Source:
        return ArraySource(self.draw(random, count).astype(np.float32))
