"""`index.html`: one self-contained page with every combination's samples and scores, and why others have none."""

import base64
import html
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tfdgm.evaluation.scores import unit
from tfdgm.studies.exit_status import DONE, FAILED, REFUSED, RUNNING, UNFINISHED
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.shared_settings import data_and_sizes, shared_settings
from tfdgm.studies.table import (
    BETTER,
    Groups,
    by_combination,
    counts,
    main_scores,
    number,
    shown_scores,
    spread,
    without_scores,
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 90rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } .wide { overflow-x: auto; }
td, th { padding: .15rem .5rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; } td.number { white-space: nowrap; }
.cells { display: flex; flex-wrap: wrap; gap: 1rem; }
.cell { border: 1px solid #ddd; border-radius: 6px; padding: .6rem .8rem; width: 19rem; }
.cell h3 { margin: 0 0 .4rem; font-size: 1rem; }
.cell.failed { border-color: #c33; } .cell.unfinished { border-style: dashed; } .cell.running { border-color: #28a; }
th small { font-weight: normal; color: #555; } summary { cursor: pointer; color: #28a; }
.samples { display: grid; grid-template-columns: repeat(auto-fit, minmax(6rem, 1fr)); gap: .3rem; }
.samples img { width: 100%; image-rendering: pixelated; display: block; }
.reason { white-space: pre-wrap; overflow-wrap: anywhere; } .failed .reason { color: #a22; }
.seed { color: #555; font-size: 13px; }
pre { background: #f6f6f6; padding: .6rem; font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def page(folder: Folder, results: Sequence[Result]) -> str:
    """The page; links in it are relative to the folder."""
    groups = by_combination(results)
    found = counts(results)
    told = ", ".join(f"{found[status]} {status}" for status in (DONE, RUNNING, FAILED, UNFINISHED, REFUSED)
                     if status in found)  # fmt: skip
    title = html.escape(folder.path.resolve().name)
    units = folder.units(results)
    tried = {key: group for key, group in groups.items() if any(result.status != REFUSED for result in group)}
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{_STYLE}</style>
<h1>{title}</h1>
{_subtitle(folder, results)}
<p>Runs: {told or "none"}, as of {time.strftime("%Y-%m-%d %H:%M:%S")}. Means over seeds, with standard deviations;
↑ is better when higher, ↓ when lower. <a href="matrix.csv">Each run</a>.</p>
<div class=wide>{_summary(tried, main_scores(results), units)}</div>
{_folded("all scores", f"<div class=wide>{_summary(tried, shown_scores(results), units)}</div>")}
{_cards(folder, tried)}
{_refusals(groups)}
</html>
"""


def _subtitle(folder: Folder, results: Sequence[Result]) -> str:
    settings = shlex.join(shared_settings(results))
    lines = [data_and_sizes(folder, results), f"each with {settings}" if settings else ""]
    return "".join(f"<p class=reason>{html.escape(line[0].upper() + line[1:])}</p>" for line in lines if line)


def _folded(heading: str, content: str) -> str:
    return f"<details><summary>{heading}</summary>{content}</details>"


def _header(score: str, units: Mapping[str, str]) -> str:
    """A score with the direction in which it is better, and its unit."""
    measured = {"active_units": "dimensions", "modes": ""}.get(score, unit(score, 1.0, units))
    name = score.replace("_", "_<wbr>")
    direction = f"&nbsp;{BETTER[score]}" if score in BETTER else ""
    return f"<th class=number>{name}{direction}<br><small>{html.escape(measured)}</small></th>"


def _summary(groups: Groups, scores: Sequence[str], units: Mapping[str, str]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("posterior", "prior", "objectives"))
    head += "<th class=number>seeds</th>" + "".join(_header(name, units) for name in scores)
    rows = []
    for combination, group in groups.items():
        done = [result for result in group if result.status == DONE]
        if done:
            values = [spread([result.scores[name] for result in done if name in result.scores]) for name in scores]
            names = "".join(f"<td>{html.escape(name)}</td>" for name in combination)
            numbers = "".join(f"<td class=number>{value}</td>" for value in (str(len(done)), *values))
            rows.append(f"<tr>{names}{numbers}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>" if rows else ""


def _cards(folder: Folder, groups: Groups) -> str:
    """The cells by posterior and objectives, a card for each prior."""
    sections: dict[str, list[str]] = {}
    for (posterior, prior, objectives), group in groups.items():
        heading = f"posterior {posterior}, {objectives}"
        sections.setdefault(heading, []).append(_card(folder, f"prior {prior}", group))
    return "\n".join(
        f"<h2>{html.escape(heading)}</h2><div class=cells>{''.join(cards)}</div>" for heading, cards in sections.items()
    )


def _card(folder: Folder, heading: str, group: Sequence[Result]) -> str:
    statuses = {result.status for result in group}
    status = next(status for status in (FAILED, RUNNING, UNFINISHED, DONE, REFUSED) if status in statuses)
    done = [result for result in group if result.status == DONE]
    pictures = "".join(_picture(folder, result) for result in done)
    reasons = "".join(
        f"<p><b>{status}</b>, seed {seeds}<br><span class=reason>{html.escape(reason)}</span></p>"
        for status, reason, seeds in without_scores(group)
    )
    main = main_scores(done)
    others = _scores(done, [name for name in shown_scores(done) if name not in main])
    links = "".join(_links(folder, result) for result in group if result.status != REFUSED)
    commands = html.escape("\n".join(result.command for result in group))
    return (
        f"<section class='cell {status}'><h3>{html.escape(heading)}</h3><div class=samples>{pictures}</div>{reasons}"
        f"{_scores(done, main)}{_folded('other scores', others) if others else ''}{links}"
        f"{_folded('command', f'<pre>{commands}</pre>')}</section>"
    )


def _scores(done: Sequence[Result], names: Sequence[str]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td class=number>"
        f"{spread([result.scores[name] for result in done if name in result.scores])}</td></tr>"
        for name in names
    )
    return f"<table>{rows}</table>" if rows else ""


def _picture(folder: Folder, result: Result) -> str:
    path = newest_samples(folder.workdir(result.cell))
    if path is None:
        return ""
    source = base64.b64encode(path.read_bytes()).decode()
    return (
        f"<a href='{_relative(folder, folder.workdir(result.cell) / 'report.html')}'>"
        f"<img alt='samples of {html.escape(str(result.cell), quote=True)}' src='data:image/png;base64,{source}'></a>"
    )


def newest_samples(workdir: Path) -> Path | None:
    """The picture of samples of the last step, where the data has pictures."""
    steps = {path: re.fullmatch(r"samples-(\d+)", path.stem) for path in (workdir / "samples").glob("samples-*.png")}
    found = {path: int(match[1]) for path, match in steps.items() if match}
    return max(found, key=lambda path: found[path], default=None)


def _links(folder: Folder, result: Result) -> str:
    workdir = folder.workdir(result.cell)
    targets = {"report": workdir / "report.html", "workdir": workdir, "log": folder.log(result.cell)}
    links = ", ".join(
        f"<a href='{_relative(folder, path)}'>{name}</a>" for name, path in targets.items() if path.exists()
    )
    seconds = f", {number(result.seconds / 60)} min" if result.seconds else ""
    return f"<div class=seed>seed {result.cell.seed}{seconds}{': ' if links else ''}{links}</div>"


def _relative(folder: Folder, path: Path) -> str:
    return quote(path.relative_to(folder.path).as_posix())


def _refusals(groups: Groups) -> str:
    rows = []
    for combination, group in groups.items():
        for status, reason, _ in without_scores(group):
            if status == REFUSED:
                names = "".join(f"<td>{html.escape(name)}</td>" for name in combination)
                rows.append(f"<tr>{names}<td class=reason>{html.escape(reason)}</td></tr>")
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in ("posterior", "prior", "objectives", "reason"))
    return f"<h2>Refused</h2><table><tr>{head}</tr>{''.join(rows)}</table>"
