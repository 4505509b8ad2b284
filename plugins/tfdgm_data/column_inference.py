"""The kind of a column of a table, and its values as numbers."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from tfdgm import UserError

Kind: TypeAlias = Literal["numeric", "categorical", "ordinal", "count"]
#: Whole numbers with at most as many different values are ordered categories.
_MOST_LEVELS = 12
#: A text column with more different values is taken for names or sentences.
_MOST_CATEGORIES = 200
#: log(1 + k) in float32 tells neighbouring counts apart up to here.
_LARGEST_COUNT = 1 << 17
_MOST_DECIMALS = 6


@dataclasses.dataclass(frozen=True)
class ColumnValues:
    """A column as numbers.

    Attributes:
      kind: of its values.
      categories: of a categorical or ordinal column.
      numbers: `[rows]` float64: positions in `categories`, or the values; NaN where missing.
    """

    kind: Kind
    categories: tuple[Any, ...]
    numbers: np.ndarray

    @property
    def decimals(self) -> int | None:
        """Number of digits after the point that suffice for all values; None if more than 6 are needed."""
        seen = self.numbers[np.isfinite(self.numbers)]
        return next((d for d in range(_MOST_DECIMALS + 1) if np.array_equal(np.round(seen, d), seen)), None)


def column_values(series: Any, wanted: str | Sequence[Any] | None) -> ColumnValues:
    """Return the values of a column.

    Args:
      series: a `pandas.Series`.
      wanted: its kind; the list of its categories in their order, which makes it ordinal; or None to infer it:
        - texts and truth values are categorical, and so is what Parquet stores as categories, ordinal if ordered;
        - whole numbers are categorical if there are two, ordinal if there are at most 12, counts if the smallest is 0
          or 1 and the largest below 131,072, and numeric otherwise;
        - other numbers are numeric.

    Raises:
      UserError: the column is empty, or has values that its kind cannot have.
    """
    where = f"data.table: column {series.name!r}"
    if wanted is not None and not isinstance(wanted, (list, tuple)) and wanted not in get_args(Kind):
        raise UserError(f"{where}: its type must be one of {', '.join(get_args(Kind))}, or a list, got {wanted!r}")
    present = series.dropna()
    if not len(present):
        raise UserError(f"{where} has no values; leave it out by data.table.drop")
    if isinstance(wanted, (list, tuple)):
        return _in_categories(series, tuple(wanted), "ordinal", where)
    numbers = _numbers(series)
    if wanted in ("categorical", "ordinal") or (wanted is None and numbers is None):
        return _categories(series, present, wanted, where)
    if numbers is None:
        raise UserError(f"{where} cannot be {wanted}: it has {present.iloc[0]!r}, which is not a number")
    if np.isinf(numbers).any():
        raise UserError(f"{where} has infinity, the first in row {int(np.argmax(np.isinf(numbers)))}")
    seen = numbers[~np.isnan(numbers)]
    whole = bool(np.all(seen == np.floor(seen)))
    if wanted == "count" and not (whole and seen.min() >= 0 and seen.max() <= _LARGEST_COUNT):
        raise UserError(
            f"{where} cannot be count: its values lie in {seen.min():g} to {seen.max():g}, but counts are whole "
            f"numbers from 0 to {_LARGEST_COUNT}"
        )
    if wanted is None and whole:
        different = len(np.unique(seen))
        if different <= _MOST_LEVELS and different > 1:
            return _categories(series, present, "categorical" if different == 2 else "ordinal", where)
        if 0 <= seen.min() <= 1 and seen.max() <= _LARGEST_COUNT and different > 1:
            wanted = "count"
    return ColumnValues("count" if wanted == "count" else "numeric", (), numbers)


def _numbers(series: Any) -> np.ndarray | None:
    """Return float64 values with NaN where missing; None if they are not numbers."""
    from pandas.api import types

    if types.is_bool_dtype(series.dtype) or not types.is_numeric_dtype(series.dtype):
        return None
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _categories(series: Any, present: Any, wanted: str | None, where: str) -> ColumnValues:
    from pandas.api import types

    dtype = series.dtype
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        raise UserError(f"{where} holds times; make numbers of them, or leave it out by data.table.drop")
    stored = getattr(dtype, "categories", None)
    if stored is not None:
        used = set(present.unique())
        names = tuple(name for name in stored if name in used)
        return _in_categories(series, names, wanted or ("ordinal" if dtype.ordered else "categorical"), where)
    try:
        names = tuple(sorted(present.unique()))
    except TypeError:
        raise UserError(f"{where} mixes values of several types, such as {present.iloc[0]!r}") from None
    if len(names) > _MOST_CATEGORIES and wanted is None:
        raise UserError(
            f"{where} has {len(names):,} different texts, such as {names[0]!r}: leave it out by data.table.drop, or "
            f'say data.table.types = {{{series.name!r}: "categorical"}}'
        )
    return _in_categories(series, names, wanted or "categorical", where)


def _in_categories(series: Any, names: tuple[Any, ...], kind: Any, where: str) -> ColumnValues:
    if len(set(names)) < len(names) or (kind == "ordinal" and len(names) < 2):
        raise UserError(f"{where}: {kind} values need several different categories, got {list(names)}")
    codes = series.map({name: number for number, name in enumerate(names)}).to_numpy(dtype=np.float64, na_value=np.nan)
    unknown = series[np.isnan(codes) & series.notna().to_numpy()]
    if len(unknown):
        raise UserError(f"{where} has {unknown.iloc[0]!r}, which is none of its categories {list(names)}")
    return ColumnValues(kind, tuple(_plain(name) for name in names), codes)


def _plain(value: Any) -> Any:
    """Return a category as a plain Python value; whole numbers, which missing values turn into floats, as ints."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (bool, int, float, str)) else str(value)
