"""Rows of an array in other units."""

import numpy as np

from tfdgm import ArraySource, Scaling


class Rescaled(ArraySource):
    """Rows of an array, mapped by `Scaling.apply` when they are read.

    The array is not copied, so that it may be mapped from disk; and since the arithmetic is float64, values far from 0
    keep their digits.

    Args:
      rows: `[examples, *shape]`.
      scaling: of the entries of the last axis.
      conditions: of the rows, if any.
    """

    def __init__(self, rows: np.ndarray, scaling: Scaling, conditions: np.ndarray | None = None) -> None:
        super().__init__(rows, conditions)
        self.scaling = scaling
        self.dtype = np.dtype(np.float32)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return self.scaling.apply(self.rows[indices])
