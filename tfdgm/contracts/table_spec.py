"""The columns of a table: how their values are represented in x, and how to restore them."""

import dataclasses
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np

ColumnKind = Literal["numeric", "categorical", "ordinal", "count"]
#: Draws of numbers are rounded to this share of their column's scale: float32 holds no more digits.
_RESOLUTION = 1e-6


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table, and its numbers in x.

    | kind | numbers in x |
    | --- | --- |
    | numeric | (value - center) / scale |
    | count | (log(1 + value) - center) / scale, for whole numbers from 0 |
    | ordinal | 2k / (K - 1) - 1 for the k-th of K ordered categories, k = 0..K-1 |
    | categorical | K numbers, one-hot; a single one, k, if K is at most 2 |

    All of them are 0 where the value is missing.

    Attributes:
      name: as in the table's header.
      kind: of its values.
      categories: the K values of a categorical or ordinal column, the latter in their order.
      center, scale: of the table above.
      decimals: number of digits after the point that all numeric values have, 0 for whole numbers; None if unknown.
      missing: whether values may be missing. x then has one more number, 1 where the value is observed and 0 where not.
    """

    name: str
    kind: ColumnKind = "numeric"
    categories: tuple[Any, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    decimals: int | None = None
    missing: bool = False

    def __str__(self) -> str:
        of = f" of {len(self.categories)}" if self.categories else ""
        return f"{self.name} {self.kind}{of}{', with missing values' if self.missing else ''}"

    @property
    def width(self) -> int:
        """Number of its numbers in x."""
        return len(self.categories) if self.kind == "categorical" and len(self.categories) > 2 else 1

    def restore(self, numbers: np.ndarray) -> np.ndarray:
        """Return the values `[n]`, in the units and categories of the table, of numbers `[n, width]` of x.

        Numbers between two categories or counts give the nearer one.
        """
        numbers = np.asarray(numbers, np.float64)
        if self.kind == "categorical":
            codes = (numbers[:, 0] > 0.5).astype(int) if self.width == 1 else numbers.argmax(axis=1)
            return self._named(np.minimum(codes, len(self.categories) - 1))
        if self.kind == "ordinal":
            top = len(self.categories) - 1
            return self._named(np.clip(np.round((numbers[:, 0] + 1) * top / 2), 0, top).astype(int))
        values = numbers[:, 0] * self.scale + self.center
        if self.kind == "count":
            return np.maximum(np.round(np.expm1(values)), 0).astype(np.int64)
        digits = math.ceil(-math.log10(_RESOLUTION * self.scale)) if self.decimals is None else self.decimals
        values = np.round(values, digits)
        return values.astype(np.int64) if self.decimals == 0 else values

    def _named(self, codes: np.ndarray) -> np.ndarray:
        return np.array(self.categories)[codes]


@dataclasses.dataclass(frozen=True)
class TableSpec:
    """The columns of a table, in the order of their numbers in x; the observed-or-missing numbers come last.

    Attributes:
      columns: of the table.
    """

    columns: tuple[Column, ...]

    @staticmethod
    def parsed(fields: Mapping[str, Any]) -> "TableSpec":
        """Return the specification whose `dataclasses.asdict` was written as JSON and read again."""
        columns = ({**column, "categories": tuple(column["categories"])} for column in fields["columns"])
        return TableSpec(tuple(Column(**column) for column in columns))

    @cached_property
    def places(self) -> tuple[slice, ...]:
        """Where in x the numbers of each column are."""
        ends = np.cumsum([column.width for column in self.columns]).tolist()
        return tuple(slice(end - column.width, end) for end, column in zip(ends, self.columns, strict=True))

    @cached_property
    def observed(self) -> tuple[int | None, ...]:
        """Where in x the number is that says whether each column's value is observed; None if none is ever missing."""
        end, found = self.places[-1].stop, []
        for column in self.columns:
            found.append(end if column.missing else None)
            end += column.missing
        return tuple(found)

    @property
    def size(self) -> int:
        """Number of elements of x."""
        return self.places[-1].stop + sum(column.missing for column in self.columns)

    @property
    def odd_column(self) -> Column | None:
        """The first column that is not numeric, or has missing values; None if x is a plain vector of real numbers."""
        return next((column for column in self.columns if column.kind != "numeric" or column.missing), None)

    def restore(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the values of each column `[n]`, by name, of x `[n, size]`.

        Missing numbers are NaN, and missing categories None.
        """
        restored = {}
        for column, place, observed in zip(self.columns, self.places, self.observed, strict=True):
            values = column.restore(x[:, place])
            if observed is not None and not (x[:, observed] > 0.5).all():
                values = values.astype(object if column.categories else float)
                values[x[:, observed] <= 0.5] = None if column.categories else np.nan
            restored[column.name] = values
        return restored
