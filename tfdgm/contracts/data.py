"""Data pi(x): splits of random-access sources."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.fingerprint import fingerprint_rows
from tfdgm.contracts.guard import is_tensor, kind_of_result
from tfdgm.contracts.specs import DataSpec

#: Number of rows that identify a source by default.
_SAMPLED = 64
#: Arrays up to this number of bytes are identified by all rows; larger ones by at most this number of rows and bytes.
_ALL_BYTES, _ROWS, _ROWS_BYTES = 1 << 24, 1_024, 1 << 22


class Source(ABC):
    """Rows with random access: any positions, in any order, any number of times."""

    shape: tuple[int, ...]
    dtype: Any

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Return rows `[len(indices), *shape]`. Must be thread-safe."""

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        """Return y of the rows, `[len(indices), *condition.shape]`; required if the data's spec has a condition.

        Must be thread-safe.
        """
        raise NotImplementedError(f"{type(self).__name__} has no conditions")

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that identify the rows; see `Data.fingerprint`.

        By default they are the number of rows, their shape and dtype, and digests of 64 evenly spaced rows and of their
        conditions.
        """
        return self._fingerprint(evenly(len(self), min(len(self), _SAMPLED)))

    def _fingerprint(self, positions: np.ndarray) -> dict[str, Any]:
        try:
            self.conditions(positions[:1])
        except NotImplementedError:
            return fingerprint_rows(len(self), positions, self.gather, None)
        return fingerprint_rows(len(self), positions, self.gather, self.conditions)

    @property
    def nbytes(self) -> int:
        """Size of all rows in bytes."""
        return len(self) * math.prod(self.shape) * np.dtype(self.dtype).itemsize


class ArraySource(Source):
    """Rows of an array in memory or mapped from disk, and of a second array of their conditions, if there is one."""

    def __init__(self, rows: np.ndarray, conditions: np.ndarray | None = None) -> None:
        self.rows = rows
        self.of_rows = conditions
        self.shape = tuple(rows.shape[1:])
        self.dtype = rows.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.rows[indices])

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        return super().conditions(indices) if self.of_rows is None else np.asarray(self.of_rows[indices])

    def fingerprint(self) -> dict[str, Any]:
        """Identify arrays of up to 16 MiB by all rows, and larger ones by at most 1,024 evenly spaced rows."""
        size = len(self)
        if self.nbytes > _ALL_BYTES:
            size = max(1, min(size, _ROWS, _ROWS_BYTES * size // self.nbytes))
        return self._fingerprint(evenly(len(self), size))


@dataclasses.dataclass(frozen=True)
class Modes:
    """A finite set of equally probable modes of pi(x).

    Attributes:
      count: their number.
      assign: x `[n, *shape]` -> (mode of each `[n]` in 0..count-1, whether it is of high quality `[n]` bool). The data
        defines high quality; for Gaussian modes it is a distance of at most 3 sigma from the mode.
      expected_high_quality: share of draws from pi(x) that are of high quality, or None if unknown. Samples with a
        larger share vary too little.
    """

    count: int
    assign: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    expected_high_quality: float | None = None


class Data(Component):
    """pi(x), as splits named "train", "validation" and "test".

    Shapes for 28 x 28 grey images stored as bytes, in a batch of 128:

        data.spec                                 # DataSpec((28, 28, 1), 0.0, 1.0, levels=256, image_shape=(28, 28))
        source = data.splits()["train"]           # len(source) == 50_000, source.shape == (28, 28, 1), uint8
        rows = source.gather(indices)             # [128, 28, 28, 1] uint8, for indices [128]
        data.observe(tf.constant(rows), context)  # [128, 28, 28, 1] float32 in [0, 1]

    Attributes:
      spec: describes x as the model sees it, after `observe`.
    """

    _results = {"splits": kind_of_result(lambda: dict, "a dict of sources by name"), "observe": is_tensor}  # noqa: RUF012

    spec: DataSpec

    @abstractmethod
    def splits(self) -> dict[str, Source]:
        """Return the splits by name; "train" is required, "validation" and "test" are optional."""

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Map rows of a source to x `[batch, *spec.shape]` float32 (scaling, binarisation, augmentation). Traced."""
        return tf.cast(rows, tf.float32)

    def density(self) -> Any:
        """Return the true pi(x) as a tfd.Distribution, or None if it is unknown."""
        return None

    def modes(self) -> Modes | None:
        """Return the modes of pi(x), or None if it has no finite set of modes."""
        return None

    def features(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return a function from x `[n, *spec.shape]` to features `[n, f]`, or None to compare samples in x itself.

        The Frechet distance, precision and recall are computed in these features, such as a hidden layer of a
        classifier trained on this data.
        """
        return None

    def classifier(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return a function from x `[n, *spec.shape]` to labels `[n]`, or None; it judges draws asked for by label."""
        return None

    def fingerprint(self, splits: Mapping[str, Source]) -> dict[str, dict[str, Any]]:
        """Return JSON values by split that identify the examples, wherever they are stored.

        They are part of `run.json` and of every checkpoint. A run is resumed and scored only on data of the same
        fingerprint. Computing it must be cheap, and it must not depend on paths or times, so that a copy of the data is
        the same data. By default it consists of the fingerprints of the sources.

        Args:
          splits: the result of `splits`.
        """
        return {name: source.fingerprint() for name, source in splits.items()}

    def describe(self) -> dict[str, Any]:
        """Return facts about the data for `run.json`: source, protocol of the split, binarisation."""
        return {}


def evenly(size: int, count: int) -> np.ndarray:
    """Return `count` positions in 0..size-1, evenly spaced; all of them in order if `count` is `size`."""
    return np.linspace(0, size - 1, count).round().astype(np.int64)
