"""`index.html`: one self-contained page with the samples and scores of every combination, or why it has none."""

import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tfdgm.reporting.html import render
from tfdgm.studies.exit_status import DONE, FAILED, PRUNED, REFUSED, RUNNING, UNFINISHED
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.shared_settings import data_and_sizes, shared_settings
from tfdgm.studies.table import (
    Groups,
    Quantities,
    by_combination,
    columns,
    counts,
    main_scores,
    number,
    shown_scores,
    spread,
    without_scores,
)

#: The status of a card, if several runs of its combination differ: the first of these that occurs.
_MOST_URGENT = (FAILED, RUNNING, UNFINISHED, DONE, PRUNED, REFUSED)


def page(folder: Folder, results: Sequence[Result], quantities: Quantities) -> str:
    """Return the page; its links are relative to the folder."""
    groups = by_combination(results)
    tried = {key: group for key, group in groups.items() if any(result.status != REFUSED for result in group)}
    found = counts(results)
    order = (DONE, RUNNING, FAILED, UNFINISHED, PRUNED, REFUSED)
    return render(
        "study.html",
        columns=columns(results),
        table=f"{folder.kind.name}.csv",
        title=folder.path.resolve().name,
        subtitles=_subtitles(folder, results),
        counts=", ".join(f"{found[status]} {status}" for status in order if status in found),
        time=time.strftime("%Y-%m-%d %H:%M:%S"),
        main=_summary(tried, main_scores(results, quantities), quantities),
        all=_summary(tried, shown_scores(results, quantities), quantities),
        sections=_sections(folder, tried, quantities),
        refusals=_refusals(groups),
    )


def _subtitles(folder: Folder, results: Sequence[Result]) -> list[str]:
    settings = shlex.join(shared_settings(results))
    lines = [data_and_sizes(folder, results), f"each with {settings}" if settings else ""]
    return [line[0].upper() + line[1:] for line in lines if line]


def _summary(groups: Groups, scores: Sequence[str], quantities: Quantities) -> dict[str, list[Any]]:
    """Return columns as (score, direction in which it is better, unit) and rows as (combination, seeds, values)."""
    columns = [(name, quantities[name].arrow, quantities[name].unit) for name in scores]
    rows = []
    for combination, group in groups.items():
        done = [result for result in group if result.status == DONE]
        if done:
            rows.append((combination, len(done), [_spread(done, name) for name in scores]))
    return {"columns": columns, "rows": rows}


def _spread(done: Sequence[Result], score: str) -> str:
    return spread([result.scores[score] for result in done if score in result.scores])


def _sections(folder: Folder, groups: Groups, quantities: Quantities) -> dict[str, list[dict[str, Any]]]:
    """Return sections by heading, with a card for each combination."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for group in groups.values():
        heading, name = group[0].cell.title
        sections.setdefault(heading, []).append(_card(folder, name, group, quantities))
    return sections


def _card(folder: Folder, name: str, group: Sequence[Result], quantities: Quantities) -> dict[str, Any]:
    statuses = {result.status for result in group}
    done = [result for result in group if result.status == DONE]
    main = main_scores(done, quantities)
    return {
        "name": name,
        "status": next(status for status in _MOST_URGENT if status in statuses),
        "pictures": [picture for result in done for picture in _picture(folder, result)],
        "missing": without_scores(group),
        "main_scores": [(name, _spread(done, name)) for name in main],
        "other_scores": [(name, _spread(done, name)) for name in shown_scores(done, quantities) if name not in main],
        "runs": [_run(folder, result) for result in group if result.status != REFUSED],
        "commands": [result.command for result in group],
    }


def _picture(folder: Folder, result: Result) -> list[tuple[str, str, bytes]]:
    """Return [(link to the report, name of the cell, PNG of its samples)], or [] if it has no picture."""
    workdir = folder.workdir(result.cell)
    path = newest_samples(workdir)
    return [(_relative(folder, workdir / "report.html"), str(result.cell), path.read_bytes())] if path else []


def newest_samples(workdir: Path) -> Path | None:
    """Return the picture of samples of the last step, or None if the data has no pictures."""
    steps = {path: re.fullmatch(r"samples-(\d+)", path.stem) for path in (workdir / "samples").glob("samples-*.png")}
    found = {path: int(match[1]) for path, match in steps.items() if match}
    return max(found, key=lambda path: found[path], default=None)


def _run(folder: Folder, result: Result) -> tuple[int, str, list[tuple[str, str]]]:
    """Return the seed, the minutes, and links as (text, target) of one run."""
    workdir = folder.workdir(result.cell)
    targets = {"report": workdir / "report.html", "workdir": workdir, "log": folder.log(result.cell)}
    links = [(name, _relative(folder, path)) for name, path in targets.items() if path.exists()]
    return result.cell.seed, number(result.seconds / 60) if result.seconds else "", links


def _relative(folder: Folder, path: Path) -> str:
    return quote(path.relative_to(folder.path).as_posix())


def _refusals(groups: Groups) -> list[tuple[tuple[str, ...], str]]:
    return [
        (combination, reason)
        for combination, group in groups.items()
        for status, reason, _ in without_scores(group)
        if status == REFUSED
    ]
