"""Points drawn once from a known law: what all toys share."""

import math
from typing import Any

import numpy as np

from tfdgm import ArraySource, Data, DataSpec, Source

#: Number of the stream that each split is drawn from.
STREAMS = {"train": 0, "validation": 1, "test": 2}


class Toy(Data):
    """Points x of R^d, float32, drawn once; the splits are independent draws.

    Split number k (0 train, 1 validation, 2 test) is `draw(numpy.random.RandomState([sample_seed, k]), count)`. NumPy
    keeps the streams of `RandomState` as they are, so that the points are the same in all versions. A split of 0 points
    does not exist.

    Args:
      dimensions: d.
      num_train: points to train on.
      num_validation: points to validate on.
      num_test: points to test on.
      sample_seed: seed of the points; the run's seed does not change them.
    """

    def __init__(
        self, *, dimensions: int, num_train: int, num_validation: int, num_test: int, sample_seed: int
    ) -> None:
        self.require(num_train >= 1, f"num_train must be at least 1, got {num_train}")
        self.require(num_validation >= 0, f"num_validation must not be negative, got {num_validation}")
        self.require(num_test >= 0, f"num_test must not be negative, got {num_test}")
        self.require(0 <= sample_seed < 2**32, f"sample_seed must be from 0 to 2^32 - 1, got {sample_seed}")
        self.counts = {"train": num_train, "validation": num_validation, "test": num_test}
        self.sample_seed = sample_seed
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

    def splits(self) -> dict[str, Source]:
        return {
            name: ArraySource(self.draw(np.random.RandomState([self.sample_seed, STREAMS[name]]), count).astype("f4"))
            for name, count in self.counts.items()
            if count
        }

    def describe(self) -> dict[str, Any]:
        return {
            "source": f"drawn from RandomState([{self.sample_seed}, k]), k = 0 train, 1 validation, 2 test",
            "split": {name: count for name, count in self.counts.items() if count},
        }
