"""Arrays in a NumPy archive."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfdgm import ArraySource, ConditionSpec, Context, Data, DataSpec, FilePath, Scaling, Source, UserError
from tfdgm_data.npz_file import checksums, load
from tfdgm_data.rescaled import Rescaled

_SPLITS = ("train", "validation", "test")
_CHECKED_AT_ONCE = 1 << 24
_MOST_LABELS = 100_000
#: The last whole number up to which float32 holds all.
_LARGEST_COUNT = 1 << 24


class Npz(Data):
    """The array `train`, and `validation` and `test` if present, of a `.npz` file.

    Each has shape `[examples, *shape]`. Integers in 0..255 are divided by 255; floating-point values are scaled as
    `scaling` says, which suits columns of any units, and draws are written in the original ones.
    When the run starts, the whole file is read once: its checksums are verified, and every value must be finite in
    float32.

    The arrays `train_labels`, `validation_labels` and `test_labels`, if present, are the conditions of the examples:
    labels `[examples]`, integers from 0, or vectors `[examples, c]` of floating-point values.

    Args:
      path: the file.
      scaling: of floating-point values, for each entry of the last axis: "standard" to mean 0 and standard deviation 1,
        "minmax" to the range from 0 to 1, over the training split; None takes them as they are. An NLL is that of x;
        `log_volume` in run.json is what to add for the NLL of the original values.
      low: lower end of the range of x; None takes the smallest value of all splits.
      high: upper end of the range of x; None takes the largest. All values must lie in the range.
      counts: whether x is counts, for `likelihood.negative_binomial`: whole numbers from 0 to 2^24, which float32 holds
        exactly, stored as integers or as floats, and not scaled.
    """

    def __init__(
        self,
        *,
        path: FilePath,
        scaling: Literal["standard", "minmax"] | None = None,
        low: float | None = None,
        high: float | None = None,
        counts: bool = False,
    ) -> None:
        self.require(
            scaling is None or (low is None and high is None and not counts),
            f"scaling = {scaling!r} excludes low, high and counts: it gives x a range of its own",
        )
        self.path = path
        self.counts = counts
        arrays = load(Path(path), (*_SPLITS, *(f"{name}_labels" for name in _SPLITS)), needed="train")
        labels = {name: arrays.pop(f"{name}_labels") for name in _SPLITS if f"{name}_labels" in arrays}
        train = arrays["train"]
        self._integer = np.issubdtype(train.dtype, np.integer) and not counts
        for name, rows in arrays.items():
            self._check(name, rows, train)
        self.require(
            scaling is None or not self._integer,
            f"{path}: scaling = {scaling!r} requires floating-point values, but 'train' has integers, which are "
            "divided by 255; store them as floats",
        )
        self.scaling = None if scaling is None else Scaling.fitted((piece for _, piece in _pieces(train)), scaling)
        unit = 255.0 if self._integer else 1.0
        ranges = {name: tuple(end / unit for end in _range(rows, self.scaling)) for name, rows in arrays.items()}
        self.spec = DataSpec(
            shape=train.shape[1:],
            low=(0.0 if self._integer or counts else min(lowest for lowest, _ in ranges.values()))
            if low is None
            else low,
            high=(1.0 if self._integer else max(highest for _, highest in ranges.values())) if high is None else high,
            levels=256 if self._integer else None,
            image_shape=_image_shape(train.shape[1:]),
            condition=self._condition(labels, arrays),
            counts=counts,
            scaling=self.scaling,
        )
        for name, (lowest, highest) in ranges.items():
            self.require(
                self.spec.low <= lowest and highest <= self.spec.high,
                f"{path}: the values of {name!r} lie in [{lowest:g}, {highest:g}], outside the range "
                f"[{self.spec.low:g}, {self.spec.high:g}]; set it by low and high",
            )
        self.require(
            not self._integer or ranges["train"][1] > 1 / 255,
            f"{path}: 'train' contains only the integers 0 and 1, but integers are divided by 255; multiply them by "
            "255, or store them as floats",
        )
        self._splits = arrays
        self._labels = labels

    def _condition(self, labels: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> ConditionSpec | None:
        """Return the specification of the labels; None if there are none."""
        if not labels:
            return None
        for name in arrays:
            self.require(name in labels, f"{self.path}: other splits have labels, but there is no '{name}_labels'")
        kinds = {(array.shape[1:], np.issubdtype(array.dtype, np.integer)) for array in labels.values()}
        shape, integers = kinds.pop()
        self.require(
            not kinds and len(shape) == (0 if integers else 1),
            f"{self.path}: labels must be integers [examples], or floating-point vectors [examples, c] of one size c",
        )
        for name, array in labels.items():
            where = f"{self.path}: the array '{name}_labels'"
            self.require(name in arrays, f"{where} belongs to no array {name!r}")
            self.require(
                len(array) == len(arrays[name]), f"{where} has {len(array)} rows, but {name!r} has {len(arrays[name])}"
            )
            self.require(array.ndim == 2 or array.min() >= 0, f"{where} has negative labels")
            self.require(bool(np.all(np.isfinite(array))), f"{where} has NaN or infinity")
        if labels["train"].ndim == 2:
            return ConditionSpec(size=labels["train"].shape[1])
        highest = max(int(array.max()) for array in labels.values())
        self.require(highest < _MOST_LABELS, f"{self.path}: the highest label is {highest}; labels are counted from 0")
        return ConditionSpec(categories=highest + 1)

    def _check(self, name: str, rows: np.ndarray, train: np.ndarray) -> None:
        where = f"{self.path}: the array {name!r}"
        self.require(rows.ndim >= 2, f"{where} must have shape [examples, ...], got {rows.shape}")
        self.require(len(rows) > 0, f"{where} has no examples")
        self.require(rows[0].size > 0, f"{where} has empty examples, of shape {rows.shape[1:]}")
        self.require(
            rows.shape[1:] == train.shape[1:],
            f"{where} has examples of shape {rows.shape[1:]}, but those of 'train' have {train.shape[1:]}",
        )
        self.require(rows.dtype == train.dtype, f"{where} has dtype {rows.dtype}, but 'train' has {train.dtype}")
        for start, piece in _pieces(rows):
            if self._integer:
                self.require(
                    piece.min() >= 0 and piece.max() <= 255, f"{where} has integers outside 0..255; store floats"
                )
                continue
            if self.counts:
                bad = np.argwhere(~((piece >= 0) & (piece <= _LARGEST_COUNT) & (piece == np.floor(piece))))
                if len(bad):
                    value, at = piece[tuple(bad[0])], [int(bad[0][0]) + start, *map(int, bad[0][1:])]
                    raise UserError(
                        f"{self.display_name()}: {where} must hold counts, whole numbers in 0..{_LARGEST_COUNT}, but "
                        f"has {value}, the first at {at}"
                    )
                continue
            with np.errstate(over="ignore"):
                bad = np.argwhere(~np.isfinite(piece.astype(np.float32)))  # as the model sees it
            if len(bad):
                value, at = piece[tuple(bad[0])], [int(bad[0][0]) + start, *map(int, bad[0][1:])]
                problem = f"{value}, which float32 cannot hold" if np.isfinite(value) else "NaN or infinity"
                raise UserError(f"{self.display_name()}: {where} has {problem}, the first at {at}")

    def splits(self) -> dict[str, Source]:
        if self.scaling is not None:
            return {name: Rescaled(rows, self.scaling, self._labels.get(name)) for name, rows in self._splits.items()}
        return {name: ArraySource(rows, self._labels.get(name)) for name, rows in self._splits.items()}

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Convert to float32; divide integers by 255."""
        x = tf.cast(rows, tf.float32)
        return x / 255.0 if self._integer else x

    def fingerprint(self, splits: Mapping[str, Source]) -> dict[str, dict[str, Any]]:
        """Add the checksums of all values and labels, which the file holds, to the fingerprints of the arrays."""
        stored, found = checksums(Path(self.path)), super().fingerprint(splits)
        for name, split in found.items():
            arrays = {"checksum": name, "checksum_labels": f"{name}_labels"}
            split.update({key: stored[array] for key, array in arrays.items() if array in stored})
        return found

    def describe(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"source": self.path, "split": {name: len(rows) for name, rows in self._splits.items()}}
        if self.scaling is not None:
            facts["log_volume"] = self.scaling.log_volume(self.spec.shape)
        return facts


def _pieces(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (position of the first row, rows) in pieces of a few megabytes."""
    at_once = max(1, _CHECKED_AT_ONCE // max(1, rows[0].nbytes))
    for start in range(0, len(rows), at_once):
        yield start, rows[start : start + at_once]


def _range(rows: np.ndarray, scaling: Scaling | None) -> tuple[float, float]:
    """Return the smallest and the largest value of x, before integers are divided."""
    scaled = (piece if scaling is None else scaling.apply(piece) for _, piece in _pieces(rows))
    ends = [(float(piece.min()), float(piece.max())) for piece in scaled]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a picture, for `(h, w)`, `(h, w, 3)` and `(h, w, 1)`; else None."""
    if len(shape) == 2:
        return shape
    if len(shape) == 3 and shape[-1] in (1, 3):
        return shape if shape[-1] == 3 else shape[:-1]
    return None
