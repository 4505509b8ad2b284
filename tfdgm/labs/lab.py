"""What every lab has in common: what it is given, what it leaves, and how a result is judged."""

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
    """What a lab is given.

    Attributes:
      seed: of every run and every draw.
      bindings: gin statements for every config that the lab reads, after its own.
      folder: scratch space for trainings.
      say: prints one line to the user.
    """

    folder: Path
    seed: int = 0
    bindings: Sequence[str] = ()
    say: Callable[[str], None] = print


@dataclasses.dataclass(frozen=True)
class Check:
    """One expectation: what is looked at, what theory expects, what came out, and whether that fits."""

    what: str
    expected: str
    got: str
    passed: bool


@dataclasses.dataclass(frozen=True)
class LabResult:
    """What a lab leaves: the rows of its table, its figure, and its checks."""

    rows: Sequence[Row]
    figure: "Figure"
    checks: Sequence[Check]


@dataclasses.dataclass(frozen=True)
class Lab:
    """A demonstration.

    Attributes:
      name: as on the command line.
      title: what it shows, in one line.
      text: what it shows and how, with sources.
      run: does it.
    """

    name: str
    title: str
    text: str
    run: Callable[[LabSettings], LabResult]


def load_lab(name: str) -> Lab:
    """The lab of a name in `LABS`; imports its module, and with it TensorFlow."""
    module = importlib.import_module(f"tfdgm.labs.{name}")
    return Lab(name, LABS[name], (module.__doc__ or "").strip(), module.run)


def near(what: str, got: float, expected: float, tolerance: float) -> Check:
    """|got - expected| <= tolerance; infinity is near infinity."""
    close = got == expected or abs(got - expected) <= tolerance
    wanted = f"{round(expected, 9):.4g}"  # a rounding error of 0 is 0
    return Check(what, f"{wanted} ± {tolerance:.2g}" if tolerance else wanted, f"{got:.4g}", close)


def below(what: str, got: float, limit: float) -> Check:
    """got <= limit."""
    return Check(what, f"at most {limit:.4g}", f"{got:.4g}", got <= limit)


def above(what: str, got: float, limit: float) -> Check:
    """got >= limit."""
    return Check(what, f"at least {limit:.4g}", f"{got:.4g}", got >= limit)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Writes the rows as CSV; columns in the order of their first use, empty where a row has no value."""
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
