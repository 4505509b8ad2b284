"""Data that is known by its record in a checkpoint only: enough to build a model whose weights are restored."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdgm.contracts.data import Data, Source
from tfdgm.contracts.specs import DataSpec
from tfdgm.runs.data_identity import DataIdentity


class RecordedData(Data):
    """The specification and the sizes of a run's data, with noise in place of its examples.

    Variables that are initialised from data start from the noise; restoring a checkpoint replaces them.

    Args:
      identity: the record.
    """

    def __init__(self, identity: DataIdentity) -> None:
        self.identity = identity
        self.spec = identity.data_spec()

    def splits(self) -> dict[str, Source]:
        return {name: Noise(int(split.get("examples", 1)), self.spec) for name, split in self.identity.splits.items()}

    def fingerprint(self, splits: Mapping[str, Source]) -> dict[str, dict[str, Any]]:
        return {name: dict(split) for name, split in self.identity.splits.items()}


class Noise(Source):
    """Random examples within the range of a specification, distinct where they can be."""

    def __init__(self, size: int, spec: DataSpec) -> None:
        self.size = size
        self.spec = spec
        self.shape = spec.shape
        self.dtype = np.float32

    def __len__(self) -> int:
        return self.size

    def gather(self, indices: np.ndarray) -> np.ndarray:
        low, high = self.spec.low, self.spec.high
        shape = (len(indices), *self.shape)
        random = np.random.RandomState(0)
        if math.isinf(low) or math.isinf(high):
            rows = random.standard_normal(shape)
            rows = np.clip(np.round(np.abs(rows)) if self.spec.counts else rows, low, high)
        elif self.spec.levels is not None:
            rows = low + (high - low) * random.randint(self.spec.levels, size=shape) / (self.spec.levels - 1)
        else:
            rows = np.round(random.uniform(low, high, shape)) if self.spec.counts else random.uniform(low, high, shape)
        return rows.astype(np.float32)

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        condition = self.spec.condition
        if condition is None:
            return super().conditions(indices)
        return np.zeros((len(indices), *condition.shape), condition.dtype)
