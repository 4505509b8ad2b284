"""Rows that carry their condition: both are packed into bytes, so that whatever moves rows moves conditions too."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.condition import ConditionSpec
from tfdgm.contracts.data import Source
from tfdgm.errors import UserError
from tfdgm.numerics.row_bytes import from_bytes, row_size, to_bytes


@dataclasses.dataclass(frozen=True)
class Packing:
    """The layout of a packed row: the bytes of the row, then those of its condition.

    Attributes:
      shape, dtype: of a row of the source; numbers of a fixed width.
      condition: specification of y.
    """

    shape: tuple[int, ...]
    dtype: Any
    condition: ConditionSpec

    @property
    def row_bytes(self) -> int:
        return row_size(self.shape, self.dtype)

    @property
    def bytes(self) -> int:
        return self.row_bytes + row_size(self.condition.shape, self.condition.dtype)

    def pack(self, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return uint8 `[n, bytes]` of rows `[n, *shape]` and their conditions."""
        parts = np.asarray(rows, self.dtype), np.asarray(y, self.condition.dtype)
        return np.concatenate([to_bytes(part) for part in parts], axis=1)

    def unpack(self, packed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return rows `[n, *shape]` and y `[n, *condition.shape]` of packed rows. Traced."""
        rows, y = packed[:, : self.row_bytes], packed[:, self.row_bytes :]
        return from_bytes(rows, self.shape, self.dtype), from_bytes(y, self.condition.shape, self.condition.dtype)


class Conditioned(Source):
    """A source whose rows are packed with their conditions."""

    def __init__(self, source: Source, condition: ConditionSpec) -> None:
        self.source = source
        self.packing = Packing(tuple(source.shape), source.dtype, condition)
        self.shape = (self.packing.bytes,)
        self.dtype = np.uint8

    def __len__(self) -> int:
        return len(self.source)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return self.packing.pack(self.source.gather(indices), self.conditions(indices))

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        spec = self.packing.condition
        y = np.asarray(self.source.conditions(indices))
        if spec.categories is not None and len(y) and not 0 <= y.min() <= y.max() < spec.categories:
            raise UserError(f"labels must be in 0..{spec.categories - 1}, but the data has {y.min()} to {y.max()}")
        if y.shape[1:] != spec.shape:
            raise UserError(f"conditions must have shape {spec.shape}, but the data has {y.shape[1:]}")
        return y.astype(spec.dtype)

    def fingerprint(self) -> dict[str, Any]:
        """Identify the rows as the source does, so that data is the same with and without its conditions."""
        return self.source.fingerprint()
