"""Data pi(x): splits of random-access sources."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.specs import DataSpec


class Source(ABC):
    """Rows that can be fetched by position, in any order, any number of times."""

    shape: tuple[int, ...]
    dtype: Any

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @abstractmethod
    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Rows `[len(indices), *shape]`. Must be safe to call from another thread."""

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


@dataclasses.dataclass(frozen=True)
class Modes:
    """A finite set of modes of pi(x), all of the same probability.

    Attributes:
      count: how many there are.
      assign: x `[n, *shape]` -> (mode of each `[n]` in 0..count-1, whether it is of high quality `[n]` bool). What high
        quality means is the data's to say; for Gaussian modes it is a distance of at most 3 sigma from the mode.
      expected_high_quality: share of pi(x)'s own draws that are of high quality, or None where it is not known. Samples
        with a larger share vary too little.
    """

    count: int
    assign: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    expected_high_quality: float | None = None


class Data(Component):
    """pi(x), as splits named "train", "validation" and "test".

    `spec` describes x as the model sees it, after `observe`.
    """

    spec: DataSpec

    @abstractmethod
    def splits(self) -> dict[str, Source]:
        """The splits by name; "train" is needed, the others as far as they exist."""

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Rows of a source -> x `[batch, *spec.shape]` float32: scaling, dynamic binarisation, augmentation. Traced."""
        return tf.cast(rows, tf.float32)

    def density(self) -> Any:
        """The true pi(x) as a tfd.Distribution, or None where it is not known."""
        return None

    def modes(self) -> Modes | None:
        """The modes of pi(x), or None where it has no finite set of them."""
        return None

    def features(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """x `[n, *spec.shape]` -> features `[n, f]` in which samples are compared, or None where x itself is.

        Features of a classifier trained on this data, for the Frechet distance and for precision and recall.
        """
        return None

    def describe(self) -> dict[str, Any]:
        """Facts about the data for `run.json`: source, protocol of the split, binarisation."""
        return {}


def evenly(size: int, count: int) -> np.ndarray:
    """`count` positions in 0..size-1, evenly spread; all of them in order where `count` is `size`."""
    return np.linspace(0, size - 1, count).round().astype(np.int64)
