"""Arrays from a NumPy file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm import ArraySource, Context, Data, DataSpec, Source, UserError
from tfdgm_data.npz_file import load

_SPLITS = ("train", "validation", "test")
_CHECKED_AT_ONCE = 1 << 24


class Npz(Data):
    """Arrays named `train`, and where they exist `validation` and `test`, from a `.npz` file.

    Each has shape `[examples, *shape]`. Integers in 0..255 are divided by 255; floating point is taken as it is. When
    the run starts, the file is read through once: its checksums are compared, and every value must be finite in
    float32.

    Args:
      path: the file.
      low: lower end of the range of x; None takes the smallest value of all splits.
      high: upper end of the range; None takes the largest. No split may leave the range.
    """

    def __init__(self, *, path: str, low: float | None = None, high: float | None = None) -> None:
        self.path = path
        arrays = load(Path(path), _SPLITS, needed="train")
        train = arrays["train"]
        self._integer = np.issubdtype(train.dtype, np.integer)
        for name, rows in arrays.items():
            self._check(name, rows, train)
        scale = 255.0 if self._integer else 1.0
        ranges = {name: tuple(end / scale for end in _range(rows)) for name, rows in arrays.items()}
        self.spec = DataSpec(
            shape=train.shape[1:],
            low=(0.0 if self._integer else min(lowest for lowest, _ in ranges.values())) if low is None else low,
            high=(1.0 if self._integer else max(highest for _, highest in ranges.values())) if high is None else high,
            levels=256 if self._integer else None,
            image_shape=_image_shape(train.shape[1:]),
        )
        for name, (lowest, highest) in ranges.items():
            self.require(
                self.spec.low <= lowest and highest <= self.spec.high,
                f"{path}: the values of {name!r} lie in [{lowest:g}, {highest:g}], outside of the range "
                f"[{self.spec.low:g}, {self.spec.high:g}]; low and high set the range",
            )
        self.require(
            not self._integer or ranges["train"][1] > 1 / 255,
            f"{path}: the integers of 'train' are 0 and 1 alone, and integers are divided by 255; multiply them by "
            "255, or store them as floats",
        )
        self._splits = arrays

    def _check(self, name: str, rows: np.ndarray, train: np.ndarray) -> None:
        where = f"{self.path}: the array {name!r}"
        self.require(rows.ndim >= 2, f"{where} must have shape [examples, ...], got {rows.shape}")
        self.require(len(rows) > 0, f"{where} has no examples")
        self.require(rows[0].size > 0, f"{where} has examples without values, of shape {rows.shape[1:]}")
        self.require(
            rows.shape[1:] == train.shape[1:],
            f"{where} has examples of shape {rows.shape[1:]}, but 'train' of {train.shape[1:]}",
        )
        self.require(rows.dtype == train.dtype, f"{where} has dtype {rows.dtype}, but 'train' {train.dtype}")
        for start, piece in _pieces(rows):
            if self._integer:
                self.require(
                    piece.min() >= 0 and piece.max() <= 255, f"{where} has integers outside of 0..255; store floats"
                )
                continue
            with np.errstate(over="ignore"):
                bad = np.argwhere(~np.isfinite(piece.astype(np.float32)))  # as the model sees it
            if len(bad):
                value, at = piece[tuple(bad[0])], [int(bad[0][0]) + start, *map(int, bad[0][1:])]
                what = f"{value}, which float32 cannot hold" if np.isfinite(value) else "NaN or infinity"
                raise UserError(f"{self.display_name()}: {where} has {what}, the first at {at}")

    def splits(self) -> dict[str, Source]:
        return {name: ArraySource(rows) for name, rows in self._splits.items()}

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Float32, integers divided by 255."""
        x = tf.cast(rows, tf.float32)
        return x / 255.0 if self._integer else x

    def describe(self) -> dict[str, Any]:
        return {"source": self.path, "split": {name: len(rows) for name, rows in self._splits.items()}}


def _pieces(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The rows in pieces of a few megabytes, each with its first position."""
    at_once = max(1, _CHECKED_AT_ONCE // max(1, rows[0].nbytes))
    for start in range(0, len(rows), at_once):
        yield start, rows[start : start + at_once]


def _range(rows: np.ndarray) -> tuple[float, float]:
    ends = [(float(piece.min()), float(piece.max())) for _, piece in _pieces(rows)]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """`(h, w)`, `(h, w, 3)`, `(h, w, 1)` as a picture, and nothing else."""
    if len(shape) == 2:
        return shape
    if len(shape) == 3 and shape[-1] in (1, 3):
        return shape if shape[-1] == 3 else shape[:-1]
    return None
