"""`report.html`: one self-contained page with scores, curves, pictures and the configuration."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdgm.evaluation.scores import logged_unit, unit
from tfdgm.reporting.pictures import plain_style
from tfdgm.runs.workdir import Workdir

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } img.examples { image-rendering: pixelated; width: 28rem; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: 13px; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { color: #555; }
"""


def write_report(
    workdir: Workdir, scores: Mapping[str, Any], pictures: Mapping[Path, str], remark: str | None = None
) -> Path:
    """Writes the page from the files of the workdir, the scores, pictures with what they show, and a remark."""
    facts = workdir.run_record()
    units = facts.get("units", {})
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td class=number>"
        f"{f'{value:.4f}' if isinstance(value, float) else html.escape(str(value))}</td>"
        f"<td>{html.escape(unit(name, value, units))}</td></tr>"
        for name, value in scores.items()
    )
    figures = "".join(
        f"<figure><img class=examples alt='{path.stem}' src='{_embed(path.read_bytes())}'>"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for path, caption in pictures.items()
    )
    curves = f"<h2>Training</h2><img alt='curves' src='{_embed(draw_curves(workdir.metrics(), units))}'>"
    versions = ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())
    plugins = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(' '.join(plugin.values()))}</td></tr>"
        for name, plugin in facts.get("plugins", {}).items()
    )
    page = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{html.escape(workdir.path.name)}</title><style>{_STYLE}</style>
<h1>{html.escape(workdir.path.name)}</h1>
<p>Started {html.escape(str(facts.get("started", "")))}, seed {facts.get("seed")}{_commit(facts)}.</p>
<p>{html.escape(versions)}.</p>
<h2>Scores</h2><table><tr><th>score</th><th>value</th><th>unit</th></tr>{rows}</table>
{f"<p>{html.escape(remark)}</p>" if remark else ""}
{"<h2>Samples and reconstructions</h2>" + figures if figures else ""}
{curves}
<h2>Plugins</h2><table><tr><th>plugin</th><th>package</th></tr>{plugins}</table>
<h2>Configuration</h2><pre>{html.escape(workdir.saved_config() or "")}</pre>
</html>
"""
    return workdir.write("report.html", page)


def _commit(facts: Mapping[str, Any]) -> str:
    """The git commits of the starts; the folder that they were made in may be of no repository."""
    commits = dict.fromkeys(str(start["git_commit"]) for start in facts.get("starts", []) if start.get("git_commit"))
    return html.escape(f", git commit {', then '.join(commits)}") if commits else ""


def draw_curves(lines: Sequence[Mapping[str, float]], units: Mapping[str, str]) -> bytes:
    """A PNG of every metric against the step."""
    buffer = io.BytesIO()
    with plain_style():
        curves(lines, units).savefig(buffer)
    return buffer.getvalue()


def curves(lines: Sequence[Mapping[str, float]], units: Mapping[str, str]) -> "Figure":
    """A panel for every quantity that a loop or a validation logged, or both."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = (name.removeprefix("validation_") for line in lines for name in line)
    panels = [name for name in dict.fromkeys(names) if name not in ("step", "steps_per_second")]
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(10, 3 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for number, name in enumerate(panels):
        axes = figure.add_subplot(rows, 2, number + 1)
        for key, style in ((name, "-"), (f"validation_{name}", "o-")):
            points = [(line["step"], line[key]) for line in lines if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), style, markersize=3, linewidth=1, label=key)
        axes.set(xlabel="step", ylabel=f"{name} ({logged_unit(name, units)})".removesuffix(" ()"))
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    return figure


def _embed(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
