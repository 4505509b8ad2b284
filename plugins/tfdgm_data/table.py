"""Tables in a CSV or Parquet file."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfdgm import ArraySource, Column, Context, Data, DataSpec, FilePath, Scaling, Source, TableSpec
from tfdgm_data.column_inference import ColumnValues, column_values
from tfdgm_data.table_file import read_table

_SPLITS = ("train", "validation", "test")
#: Order in which one uniform number chooses a row's split, so that other shares move few rows.
_HELD_OUT = ("test", "validation")
#: The code of a missing category, whose one-hot vector is 0.
_NO_CATEGORY = -1.0


class Table(Data):
    """The rows of a table with named columns; x of a row are the numbers that `tfdgm.Column` describes.

    The kind of every column is inferred, as `tfdgm train` prints, and can be set by `types`. Values may be missing.
    Centers and scales are those of the training rows. `tfdgm sample --output draws.csv` writes the table's columns, in
    their units and categories.

    A column `split_column` with the values train, validation and test divides the rows. Otherwise row i is drawn into a
    split by the i-th number of `numpy.random.RandomState(split_seed)`, so that rows appended later move none. Requires
    the extra `tables` (`pip install "tfdgm[tables]"`).

    Args:
      path: the file: .csv, .tsv, .csv.gz or .parquet.
      types: by column, "numeric", "count", "categorical" or "ordinal", or the list of its categories in their order,
        instead of the inferred kind.
      drop: columns to leave out.
      scaling: of numeric columns: "standard" to mean 0 and standard deviation 1, "minmax" to the range from 0 to 1,
        None for none. Logarithms of counts are always standardised.
      split_column: the column with each row's split; it is left out of x.
      validation_share: share of the rows in the validation split, without a split column.
      test_share: share of the rows in the test split, likewise.
      split_seed: seed of the division.
    """

    def __init__(
        self,
        *,
        path: FilePath,
        types: dict[str, Any] | None = None,
        drop: Sequence[str] = (),
        scaling: Literal["standard", "minmax"] | None = "standard",
        split_column: str | None = None,
        validation_share: float = 0.1,
        test_share: float = 0.1,
        split_seed: int = 0,
    ) -> None:
        self.require(
            validation_share >= 0 and test_share >= 0 and validation_share + test_share < 1,
            "validation_share and test_share must not be negative and must sum to less than 1, got "
            f"{validation_share} and {test_share}",
        )
        self.require(0 <= split_seed < 2**32, f"split_seed must be from 0 to 2^32 - 1, got {split_seed}")
        self.path = path
        table, types = read_table(Path(path)), types or {}
        for name in (*types, *drop, *([] if split_column is None else [split_column])):
            self.require(name in table, f"{path} has no column {name!r}; it has {', '.join(map(repr, table))}")
        shares = {"test": test_share, "validation": validation_share}
        rows = self._drawn(len(table), shares, split_seed) if split_column is None else self._named(table[split_column])
        self.require(len(rows.get("train", ())) > 0, f"{path} has no training rows")
        kept = [name for name in table if name not in (*drop, split_column)]
        self.require(bool(kept), f"{path}: all columns are left out")
        values = {name: column_values(table[name], types.get(name)) for name in kept}
        columns = [self._column(name, each, rows["train"], scaling) for name, each in values.items()]
        numbers = [_scaled(each.numbers, column) for each, column in zip(values.values(), columns, strict=True)]
        observed = [np.isfinite(each) for each, column in zip(numbers, columns, strict=True) if column.missing]
        known = [
            np.nan_to_num(each, nan=_NO_CATEGORY if column.width > 1 else 0.0)
            for each, column in zip(numbers, columns, strict=True)
        ]
        x = np.stack([*known, *observed], axis=1).astype(np.float32)
        self._rows = {split: x[positions] for split, positions in rows.items()}
        self.table = TableSpec(tuple(columns))
        self.spec = DataSpec(shape=(self.table.size,), table=self.table)

    def _drawn(self, count: int, shares: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
        """Return the positions of each split's rows, drawn at random."""
        draws, low, rows = np.random.RandomState(seed).random_sample(count), 0.0, {}
        for split in _HELD_OUT:
            rows[split] = np.flatnonzero((low <= draws) & (draws < low + shares[split]))
            low += shares[split]
        rows["train"] = np.flatnonzero(draws >= low)
        return {split: rows[split] for split in _SPLITS if len(rows[split])}

    def _named(self, column: Any) -> dict[str, np.ndarray]:
        """Return the positions of each split's rows, which a column names."""
        other = sorted(set(column.astype(str)) - set(_SPLITS))
        self.require(
            not other, f"{self.path}: column {column.name!r} must hold {', '.join(_SPLITS)}, but has {other[:1]}"
        )
        found = {split: np.flatnonzero((column == split).to_numpy()) for split in _SPLITS}
        return {split: positions for split, positions in found.items() if len(positions)}

    def _column(
        self, name: str, values: ColumnValues, train: np.ndarray, scaling: Literal["standard", "minmax"] | None
    ) -> Column:
        """Return the description of a column."""
        missing = np.isnan(values.numbers)
        self.require(not missing[train].all(), f"{self.path}: column {name!r} has no values in training rows")
        described = Column(name, values.kind, values.categories, missing=bool(missing.any()))
        if values.kind == "numeric" and scaling is None:
            return dataclasses.replace(described, decimals=values.decimals)
        if values.categories:
            return described
        numbers = np.log1p(values.numbers) if values.kind == "count" else values.numbers
        fitted = Scaling.fitted([numbers[train, None]], "standard" if values.kind == "count" else scaling or "standard")
        decimals = 0 if values.kind == "count" else values.decimals
        return dataclasses.replace(described, decimals=decimals, center=fitted.center[0], scale=fitted.scale[0])

    def splits(self) -> dict[str, Source]:
        return {split: ArraySource(rows) for split, rows in self._rows.items()}

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Map rows to x: the codes of more than two categories become one-hot, and 0 where missing.

        Args:
          rows: `[batch, columns + columns with missing values]`: a number for each column, then what is observed.
        """
        columns = self.table.columns
        numbers = [
            rows[:, place, None] if column.width == 1 else tf.one_hot(tf.cast(rows[:, place], tf.int32), column.width)
            for place, column in enumerate(columns)
        ]
        return tf.concat([*numbers, rows[:, len(columns) :]], axis=1)

    def describe(self) -> dict[str, Any]:
        return {
            "source": self.path,
            "split": {split: len(rows) for split, rows in self._rows.items()},
            "columns": [dataclasses.asdict(column) for column in self.table.columns],
        }


def _scaled(numbers: np.ndarray, column: Column) -> np.ndarray:
    """Return one number for each value `[rows]` float64: that of x, or the code of a category; NaN where missing."""
    if column.kind == "categorical":
        return numbers
    if column.kind == "ordinal":
        return 2 * numbers / (len(column.categories) - 1) - 1
    return ((np.log1p(numbers) if column.kind == "count" else numbers) - column.center) / column.scale
