"""The table of a comparison: groups of runs by scores, with the best marked, apart from any format."""

import dataclasses
from collections.abc import Mapping, Sequence

from tfdgm.comparisons.ranking import Mark, marks
from tfdgm.comparisons.run_groups import RunGroup, obstacles, remarks
from tfdgm.contracts.quantity import Quantity
from tfdgm.errors import UserError, did_you_mean
from tfdgm.studies.table import scores_in_order, spread

#: In place of names: every score.
ALL = "all"


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """A table with a row for each group and a column for each score.

    Attributes:
      groups: the rows.
      scores: the columns, meanings by name.
      cells: for each group the text of each score, and its mark.
      remarks: sentences on what restricts the comparison.
    """

    groups: Sequence[RunGroup]
    scores: Mapping[str, Quantity]
    cells: Sequence[Sequence[tuple[str, Mark]]]
    remarks: Sequence[str]

    @property
    def legend(self) -> str:
        """What the numbers are, without the marks, which each format draws in its way."""
        several = any(len(group.runs) > 1 for group in self.groups)
        return "mean ± standard deviation over seeds" if several else "one run each, so that no spread is known"

    def uses(self, mark: Mark) -> bool:
        """Return whether a cell has this mark."""
        return any(mark == other for row in self.cells for _, other in row)


def score_table(groups: Sequence[RunGroup], names: Sequence[str] = ()) -> ScoreTable:
    """Return the table of groups.

    Nothing is marked as best if the groups have other data or other examples than one another.

    Args:
      groups: of runs.
      names: of the scores to show; by default the main ones; "all" for every one that has a meaning.

    Raises:
      UserError: no run has such a score.
    """
    known: dict[str, Quantity] = {}
    for run in (run for group in groups for run in group.runs):
        for name, quantity in run.quantities.items():
            known.setdefault(name, quantity)
    scores = {name: known.get(name, Quantity("", "")) for name in _chosen(groups, names, known)}
    ranked = not obstacles(groups)
    columns = []
    for name, quantity in scores.items():
        values = [group.values(name) for group in groups]
        texts = [_text(each, len(group.runs)) for each, group in zip(values, groups, strict=True)]
        of_column: list[Mark] = marks(values, quantity) if ranked else ["" for _ in groups]
        columns.append(list(zip(texts, of_column, strict=True)))
    cells = [[column[number] for column in columns] for number in range(len(groups))]
    return ScoreTable(groups, scores, cells, remarks(groups))


def _chosen(groups: Sequence[RunGroup], names: Sequence[str], known: Mapping[str, Quantity]) -> list[str]:
    present = {name for group in groups for run in group.runs for name in run.scores}
    shown = scores_in_order(present, known)
    if list(names) == [ALL]:
        return shown
    for name in names:
        if name not in present:
            raise UserError(f"no run has a score {name!r}. {did_you_mean(name, sorted(present))}")
    return list(names) or [name for name in shown if known[name].main] or shown or sorted(present)


def _text(values: Sequence[float], runs: int) -> str:
    text = spread(values)
    return f"{text} ({len(values)} of {runs})" if values and len(values) < runs else text
