"""The interface of a lab: its settings, its result, and the checks of the result."""

import csv
import dataclasses
import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdgm.labs import LABS
from tfdgm.system.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, float | str]


@dataclasses.dataclass(frozen=True)
class LabSettings:
    """The settings of a lab.

    Attributes:
      folder: scratch space for trainings.
      seed: of every run and every draw.
      bindings: gin statements for every config of the lab; they override its own.
      say: prints a line for the user.
    """

    folder: Path
    seed: int = 0
    bindings: Sequence[str] = ()
    say: Callable[[str], None] = print


@dataclasses.dataclass(frozen=True)
class Check:
    """The comparison of a result with theory; expected value and result are formatted as text."""

    what: str
    expected: str
    result: str
    passed: bool


@dataclasses.dataclass(frozen=True)
class LabResult:
    """The result of a lab: the rows of its table, its figure, and its checks."""

    rows: Sequence[Row]
    figure: "Figure"
    checks: Sequence[Check]


@dataclasses.dataclass(frozen=True)
class Lab:
    """A demonstration.

    Attributes:
      name: as on the command line.
      title: one line.
      text: explanation, with sources.
      run: runs it.
    """

    name: str
    title: str
    text: str
    run: Callable[[LabSettings], LabResult]


def load_lab(name: str) -> Lab:
    """Return the lab of a name in `LABS`; this imports its module and TensorFlow."""
    module = importlib.import_module(f"tfdgm.labs.{name}")
    return Lab(name, LABS[name], (module.__doc__ or "").strip(), module.run)


def near(what: str, result: float, expected: float, tolerance: float) -> Check:
    """Check that |result - expected| <= tolerance; infinity is near infinity."""
    close = result == expected or abs(result - expected) <= tolerance
    text = f"{round(expected, 9):.4g}"  # a rounding error of 0 is 0
    return Check(what, f"{text} ± {tolerance:.2g}" if tolerance else text, f"{result:.4g}", close)


def below(what: str, result: float, limit: float) -> Check:
    """Check that result <= limit."""
    return Check(what, f"at most {limit:.4g}", f"{result:.4g}", result <= limit)


def above(what: str, result: float, limit: float) -> Check:
    """Check that result >= limit."""
    return Check(what, f"at least {limit:.4g}", f"{result:.4g}", result >= limit)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV; a cell is empty if its row has no value for the column."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: as_text(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of the columns, in the order of their first use."""
    return list(dict.fromkeys(name for row in rows for name in row))


def as_text(value: Any) -> str:
    """Return a value of the table as text: a float to six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
