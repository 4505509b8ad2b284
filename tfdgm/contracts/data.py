"""Data pi(x): splits of random-access sources."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.specs import DataSpec


class Source:
    """Rows that can be fetched by position, in any order, any number of times."""

    shape: tuple[int, ...]
    dtype: Any

    def __len__(self) -> int:
        raise NotImplementedError

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Rows `[len(indices), *shape]`. Must be safe to call from another thread."""
        raise NotImplementedError

    @property
    def nbytes(self) -> int:
        """Size of all rows together."""
        return len(self) * math.prod(self.shape) * np.dtype(self.dtype).itemsize


class ArraySource(Source):
    """Rows of an array in memory or mapped from disk."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.shape = tuple(rows.shape[1:])
        self.dtype = rows.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.rows[indices])


class Data(Component):
    """pi(x), as splits named "train", "validation" and "test".

    `spec` describes x as the model sees it, after `observe`.
    """

    spec: DataSpec

    def splits(self) -> dict[str, Source]:
        """The splits by name; "train" is needed, the others as far as they exist."""
        raise NotImplementedError

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Rows of a source -> x `[batch, *spec.shape]` float32: scaling, dynamic binarisation, augmentation. Traced."""
        return tf.cast(rows, tf.float32)

    def describe(self) -> dict[str, Any]:
        """Facts about the data for `run.json`: source, protocol of the split, binarisation."""
        return {}
