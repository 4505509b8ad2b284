"""A comparison on the terminal, in as many tables as its width needs."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfdgm.comparisons.ranking import Mark
from tfdgm.comparisons.run_groups import RunGroup, named, named_by_settings
from tfdgm.comparisons.score_table import ScoreTable
from tfdgm.comparisons.table_formats import TIED
from tfdgm.contracts.quantity import Quantity

if TYPE_CHECKING:
    from rich.console import Console

#: Signs of the marks, which a pipe keeps, and styles.
_SIGNS: dict[Mark, str] = {"best": " *", "tied": " ~", "": "  "}
_STYLES: dict[Mark, str] = {"best": "bold green", "tied": "underline", "": ""}
#: Width of the frame of a column, and largest width of a name in it.
_FRAME, _WIDTH = 3, 24
#: Largest number of groups whose settings are shown beside one another.
_MOST_BESIDE = 5


def print_comparison(table: ScoreTable, console: "Console | None" = None) -> None:
    """Print the settings that differ, the scores and the legend.

    Groups are rows if all scores fit beside one another, else columns if all groups do, else rows of several tables.

    Args:
      table: of the comparison.
      console: to print to; standard output by default.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False)
    _print_settings(table.groups, console)
    names = ["runs", *(_folded(group.name) for group in table.groups)]
    facts = [names, ["seeds", *(str(len(group.runs)) for group in table.groups)]]
    facts.append(["step", *(group.steps for group in table.groups)])
    scores = [
        [_head(name, quantity), *(_signed(row[number]) for row in table.cells)]
        for number, (name, quantity) in enumerate(table.scores.items())
    ]
    room = console.width - 1 - sum(map(_width, facts))
    parts = _parts([_width(column) for column in scores], room)
    turned = [list(texts) for texts in zip(*facts, *scores, strict=True)]
    if len(parts) > 1 and sum(map(_width, turned)) < console.width:
        _print_columns(turned, console)
    else:
        for part in parts:
            _print_columns([*facts, *(scores[number] for number in part)], console)
    best = "; * best" if table.uses("best") else ""
    tied = f"; ~ {TIED}" if table.uses("tied") else ""
    console.print(Text(f"{table.legend}{best}{tied}"), soft_wrap=True)


def _signed(cell: tuple[str, Mark]) -> str:
    text, mark = cell
    return text + _SIGNS[mark] if text else ""


def _print_columns(columns: Sequence[Sequence[str]], console: "Console") -> None:
    """Print columns, each with its head first; cells with the sign of a mark have its style."""
    from rich.table import Table
    from rich.text import Text

    printed = Table()
    for number, (head, *_) in enumerate(columns):
        printed.add_column(Text(head), justify="right" if number else "left", no_wrap=True)
    for row in zip(*(column[1:] for column in columns), strict=True):
        printed.add_row(*(Text(text, style=_style(text)) for text in row))
    console.print(printed)


def _style(text: str) -> str:
    return next((_STYLES[mark] for mark, sign in _SIGNS.items() if mark and text.endswith(sign)), "")


def _width(column: Sequence[str]) -> int:
    return max(len(line) for text in column for line in text.split("\n")) + _FRAME


def _head(name: str, quantity: Quantity) -> str:
    """Return the head of a score: its name broken at underscores, the direction and the unit."""
    name = "\n".join(textwrap.wrap(name.replace("_", "_ "), _WIDTH)).replace("_ ", "_")
    return _folded(f"{name} {quantity.arrow}".rstrip()) + "\n" * bool(quantity.unit) + _folded(quantity.unit)


def _folded(text: str) -> str:
    return "\n".join(textwrap.fill(line, _WIDTH) for line in text.split("\n"))


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the numbers of columns in parts that fit into the room, at least one column in each."""
    parts: list[list[int]] = [[]]
    left = room
    for number, width in enumerate(widths):
        if parts[-1] and width > left:
            parts.append([])
            left = room
        parts[-1].append(number)
        left -= width
    return parts


def _print_settings(groups: Sequence[RunGroup], console: "Console") -> None:
    """Print the settings that differ, unless the names of the groups already have them."""
    from rich.table import Table
    from rich.text import Text

    settings = groups[0].settings
    if not settings or named_by_settings(groups):
        return
    printed = Table(title="settings that differ", title_justify="left")
    printed.add_column("setting" if len(groups) <= _MOST_BESIDE else "runs", overflow="fold")
    if len(groups) <= _MOST_BESIDE:
        for group in groups:
            printed.add_column(Text(group.name), overflow="fold")
        for name in settings:
            printed.add_row(Text(name), *(Text(group.settings[name]) for group in groups))
    else:
        printed.add_column("settings", overflow="fold")
        for group in groups:
            printed.add_row(Text(group.name), Text(named(group.settings)))
    console.print(printed)
