"""Splits that are drawn once."""

from abc import abstractmethod
from typing import Any

import numpy as np

from tfdgm import Data, Source

_STREAMS = {"train": 0, "validation": 1, "test": 2}


class SampledSplits(Data):
    """Data whose splits are independent draws, fixed by a seed.

    Split number k (0 train, 1 validation, 2 test) is drawn from `numpy.random.RandomState([sample_seed, k])`. NumPy
    keeps these streams as they are, so that all its versions draw the same. A split of no examples does not exist.

    Args:
      num_train: examples to train on.
      num_validation: examples to validate on.
      num_test: examples to test on.
      sample_seed: seed of the examples; the run's seed does not change them.
    """

    def __init__(self, *, num_train: int, num_validation: int, num_test: int, sample_seed: int) -> None:
        self.require(num_train >= 1, f"num_train must be at least 1, got {num_train}")
        self.require(num_validation >= 0, f"num_validation must not be negative, got {num_validation}")
        self.require(num_test >= 0, f"num_test must not be negative, got {num_test}")
        self.require(0 <= sample_seed < 2**32, f"sample_seed must be from 0 to 2^32 - 1, got {sample_seed}")
        counts = {"train": num_train, "validation": num_validation, "test": num_test}
        self.counts = {name: count for name, count in counts.items() if count}
        self.sample_seed = sample_seed

    @abstractmethod
    def draw_split(self, name: str, random: np.random.RandomState, count: int) -> Source:
        """`count` examples of the split."""

    def splits(self) -> dict[str, Source]:
        return {
            name: self.draw_split(name, np.random.RandomState([self.sample_seed, _STREAMS[name]]), count)
            for name, count in self.counts.items()
        }

    def describe(self) -> dict[str, Any]:
        return {
            "drawn": f"from RandomState([{self.sample_seed}, k]), k = 0 train, 1 validation, 2 test",
            "examples": dict(self.counts),
        }
