"""The table of all keys in docs/evaluation.md is what the plugins say."""

from pathlib import Path

from small import points_experiment

import tfdgm
from tfdgm.evaluation.score_set import ScoreSet

PAGE = Path(tfdgm.__file__).parents[1] / "docs" / "evaluation.md"


def rows():
    """The rows of all keys, as in the page."""
    for each in ScoreSet(points_experiment()).scores:
        for key, quantity in each.score.quantities.items():
            cells = (f"`{each.name}`", f"`{key}`", quantity.unit, quantity.better or "", quantity.formula)
            yield "|" + "".join(f" {cell.replace('|', chr(92) + '|')} |" if cell else " |" for cell in cells)


def test_the_page_has_the_units_directions_and_formulas_of_the_plugins():
    table = PAGE.read_text(encoding="utf-8").partition("## All keys")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    assert lines[:-1] == list(rows())
    assert lines[-1].startswith("| `estimates` ")
