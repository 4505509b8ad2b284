"""A comparison as one self-contained page: scores, settings that differ, samples, curves."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from tfdgm.comparisons.overlaid_curves import MOST_GROUPS, overlaid_curves
from tfdgm.comparisons.run_groups import RunGroup
from tfdgm.comparisons.score_table import ScoreTable
from tfdgm.comparisons.table_formats import TIED
from tfdgm.reporting.html import render
from tfdgm.studies.study_page import newest_samples


def page_of(table: ScoreTable, folder: Path) -> str:
    """Return the page.

    Args:
      table: of the comparison.
      folder: in which the page will be; its links to the runs are relative to it.
    """
    return render(
        "compare.html",
        title=f"{sum(len(group.runs) for group in table.groups)} runs compared",
        time=time.strftime("%Y-%m-%d %H:%M:%S"),
        columns=list(table.scores.items()),
        rows=list(zip(table.groups, table.cells, strict=True)),
        legend=table.legend,
        uses=table.uses,
        tied=TIED,
        remarks=table.remarks,
        settings=[(name, [group.settings[name] for group in table.groups]) for name in table.groups[0].settings],
        curves=overlaid_curves(table.groups),
        hidden=[group.name for group in table.groups[MOST_GROUPS:]],
        groups=[(group, _samples(group), _links(group, folder)) for group in table.groups],
    )


def _samples(group: RunGroup) -> bytes | None:
    """Return the newest picture of samples of the first run that has one."""
    paths = (newest_samples(run.path) for run in group.runs)
    return next((path.read_bytes() for path in paths if path is not None), None)


def _links(group: RunGroup, folder: Path) -> Sequence[tuple[str, str]]:
    """Return (text, target) for each run: its report, or else its folder."""
    targets = [path if (path := run.path / "report.html").exists() else run.path for run in group.runs]
    return [
        ("run" if run.seed is None else f"seed {run.seed}", quote(os.path.relpath(target, folder)))
        for run, target in zip(group.runs, targets, strict=True)
    ]
