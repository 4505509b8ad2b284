"""Points of a known law: what all toys share."""

import math

import numpy as np

from tfdgm import ArraySource, DataSpec, Source
from tfdgm_data.drawn import Drawn


class Toy(Drawn):
    """Points x of R^d, float32.

    Args:
      dimensions: d.
      num_train, num_validation, num_test, sample_seed: as for everything that is drawn.
    """

    def __init__(
        self, *, dimensions: int, num_train: int, num_validation: int, num_test: int, sample_seed: int
    ) -> None:
        super().__init__(num_train=num_train, num_validation=num_validation, num_test=num_test, sample_seed=sample_seed)
        self.spec = DataSpec(shape=(dimensions,))

    def require_positive(self, **lengths: float) -> None:
        """Refuses hyperparameters that are not positive and finite."""
        for name, length in lengths.items():
            self.require(0 < length < math.inf, f"{name} must be positive and finite, got {length}")

    def require_noise(self, noise: float) -> None:
        self.require(0 <= noise < math.inf, f"noise must be finite and not negative, got {noise}")

    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        """`count` points x `[count, d]`."""
        raise NotImplementedError

    def draw_split(self, name: str, random: np.random.RandomState, count: int) -> Source:
        return ArraySource(self.draw(random, count).astype(np.float32))
