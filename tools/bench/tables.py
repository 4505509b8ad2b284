"""The figures as tables: for the terminal by rich, for the docs as Markdown."""

import dataclasses
from typing import Any

from cases import CASES
from curves import CURVES

#: Load average before the run beyond which others are at work.
MOST_LOAD = 1.0
BUSY = "**The machine was busy with other work: do not quote these figures, those of PyTorch least.**"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; all columns after the first `names` hold numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    names: int = 1

    def markdown(self) -> str:
        """Return the table as Markdown, its title above it."""
        rule = ["---" if number < self.names else "---:" for number in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        return "\n".join([f"{self.title}:", "", *(f"| {' | '.join(line)} |" for line in lines), ""])

    def print(self) -> None:
        """Print the table to the terminal."""
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=Text(self.title), box=box.SIMPLE_HEAD, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(Text(column), justify="left" if number < self.names else "right")
        for row in self.rows:
            table.add_row(*map(Text, row))
        console = Console()
        Console(width=None if console.is_terminal else 120).print(table)


def tables(results: dict[str, Any]) -> list[Table]:
    """Return a table for every part that was measured."""
    makers = (steps, starting, growth, scale)
    return [table for make in makers if (table := make(results)) is not None]


def steps(results: dict[str, Any]) -> Table | None:
    rows = []
    for name, contenders in results.get("steps", {}).items():
        case = CASES[name]
        for place, (contender, figures) in enumerate(contenders.items()):
            share = f"{figures['matrix_share']:.0%}" if "matrix_share" in figures else ""
            rows.append(
                (
                    f"{case.title}, per {case.unit}" if place == 0 else "",
                    contender,
                    microseconds(figures["median"]),
                    microseconds(figures["fastest"]),
                    "" if place == 0 else f"{figures['ratio']:.2f}",
                    share,
                    f"{figures['peak_megabytes']:,.0f}",
                )
            )
    columns = ("what", "who", "median", "fastest", "tfdgm / it", "of the matrix rate", "peak MB")
    return Table("Steps, densities and draws", columns, rows, names=2) if rows else None


def starting(results: dict[str, Any]) -> Table | None:
    rows = [
        (name, f"{own['first_loop']:.1f} s", f"{own['step_1000']:.1f} s", f"{own['peak_megabytes']:,.0f}")
        for name, own in results.get("starting", {}).items()
    ]
    columns = ("digits/vae.gin", "first 100 steps made", "1,000 steps made", "peak MB")
    return Table("From the start of the process", columns, rows) if rows else None


def growth(results: dict[str, Any]) -> Table | None:
    rows = []
    for name, points in results.get("growth", {}).items():
        for place, (value, own) in enumerate(points.items()):
            title = f"{CURVES[name].title}, {CURVES[name].config}" if place == 0 else ""
            rows.append((title, f"{int(value):,}", microseconds(own["median"]), f"{own['compile']:.1f} s"))
    return Table("Growth", ("of", "value", "step", "tracing and compilation"), rows) if rows else None


def scale(results: dict[str, Any]) -> Table | None:
    rows = [(name, f"{own['seconds']:.2f} s") for name, own in results.get("scale", {}).items()]
    return Table("Commands", ("what", "time"), rows) if rows else None


def microseconds(value: float) -> str:
    """Return a time with three digits, in a unit that suits it."""
    for unit, factor in (("s", 1e6), ("ms", 1e3), ("µs", 1.0)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}" if value / factor < 1_000 else f"{value / factor:,.0f} {unit}"
    return f"{value * 1e3:.3g} ns"


def heading(results: dict[str, Any]) -> str:
    """Return what the figures are of, in a few lines."""
    machine, load = results["machine"], results["load"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    rate = results.get("matrix_rate")
    lines = [
        f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}, {versions}.",
        f"{results['seconds'] / 60:.0f} minutes, {results['rounds']} rounds; "
        f"load average {load['before']:.1f} before and {load['after']:.1f} after.",
        *([f"Matrix rate: {rate / 1e9:,.0f} GFLOP/s in float32."] if rate else []),
        *(["**Figures of a quick run, which mean nothing.**"] if results["quick"] else []),
        *([BUSY] if load["before"] > MOST_LOAD else []),
    ]
    missing = [f"{name} ({reason})" for name, reason in results["missing"].items()]
    return " ".join([*lines, *([f"Left out: {'; '.join(missing)}."] if missing else [])])
