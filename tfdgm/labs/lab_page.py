"""`index.html`: one self-contained page of labs, with their pictures, tables and checks."""

import base64
import dataclasses
import html
from collections.abc import Sequence

from tfdgm.labs.lab import Check, Lab, LabResult, Row, cell

_STYLE = """
body { font: 17px/1.55 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
img { width: 100%; border: 1px solid #ddd; } nav li { margin: .1rem 0; }
table { border-collapse: collapse; font-size: 14px; } .wide { overflow-x: auto; }
td, th { padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.off { font-weight: bold; } .told { color: #555; font-size: 14px; }
"""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A lab that was run: what it left, its picture as PNG, and how long it took."""

    lab: Lab
    outcome: LabResult
    picture: bytes
    seconds: float


def page(entries: Sequence[Entry]) -> str:
    """The page; its links go to files beside it."""
    contents = "".join(
        f"<li><a href='#{entry.lab.name}'>{entry.lab.name}</a>: {html.escape(entry.lab.title)}</li>"
        for entry in entries
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>tfdgm lab</title>
<style>{_STYLE}</style>
<h1>tfdgm lab</h1>
<nav><ul>{contents}</ul></nav>
{"".join(_section(entry) for entry in entries)}
</html>
"""


def _section(entry: Entry) -> str:
    name = entry.lab.name
    text = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in entry.lab.text.split("\n\n"))
    picture = base64.b64encode(entry.picture).decode()
    return f"""
<section id="{name}"><h2>{html.escape(entry.lab.title)}</h2>
<img alt="{name}" src="data:image/png;base64,{picture}">
{text}
{_checks(entry.outcome.checks)}
<details><summary>table</summary>{_table(entry.outcome.rows)}</details>
<p class=told>tfdgm lab {name}: {entry.seconds:.0f} s; <a href="{name}.csv">{name}.csv</a>,
<a href="{name}.png">{name}.png</a></p></section>
"""


def _checks(checks: Sequence[Check]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(check.what)}</td><td>{html.escape(check.expected)}</td><td>{html.escape(check.got)}</td>"
        f"<td{'' if check.passed else ' class=off'}>{'ok' if check.passed else 'OFF'}</td></tr>"
        for check in checks
    )
    return f"<table><tr><th>check</th><th>expected</th><th>got</th><th></th></tr>{rows}</table>"


def _table(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td class=number>{html.escape(cell(row.get(name, '')))}</td>" for name in columns) + "</tr>"
        for row in rows
    )
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"
