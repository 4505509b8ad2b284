"""`report.html`: one self-contained page with scores, curves, pictures and the configuration."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdgm.contracts.quantity import Quantity
from tfdgm.evaluation.units import logged_unit
from tfdgm.reporting.html import render
from tfdgm.reporting.pictures import plain_style
from tfdgm.runs.workdir import Workdir

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The meaning of a number without one.
_UNKNOWN = Quantity("", "")


def write_report(
    workdir: Workdir, scores: Mapping[str, Any], pictures: Mapping[Path, str], remark: str | None = None
) -> Path:
    """Write the page and return its path.

    Args:
      workdir: of the run; its record, metrics and configuration are shown.
      scores: by name.
      pictures: captions by the path of a PNG.
      remark: a sentence below the scores.
    """
    record = workdir.run_record()
    units, quantities = record.get("units", {}), workdir.quantities()
    page = render(
        "run.html",
        title=workdir.path.name,
        started=record.get("started", ""),
        seed=record.get("seed"),
        commits=_commits(record),
        versions=", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items()),
        scores=[(name, _number(value), quantities.get(name, _UNKNOWN)) for name, value in scores.items()],
        remark=remark,
        pictures=[(path.stem, path.read_bytes(), caption) for path, caption in pictures.items()],
        curves=draw_curves(workdir.metrics(), quantities, units),
        plugins=[(name, " ".join(package.values())) for name, package in record.get("plugins", {}).items()],
        config=workdir.saved_config() or "",
    )
    return workdir.write("report.html", page)


def _commits(record: Mapping[str, Any]) -> list[str]:
    """Return the git commit of each start, without repetitions; a start outside a repository has none."""
    commits = (start.get("git_commit") for start in record.get("starts", []))
    return list(dict.fromkeys(str(commit) for commit in commits if commit))


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def draw_curves(
    lines: Sequence[Mapping[str, float]], quantities: Mapping[str, Quantity], units: Mapping[str, str]
) -> bytes:
    """Return a PNG of every metric against the step."""
    buffer = io.BytesIO()
    with plain_style():
        curves(lines, quantities, units).savefig(buffer)
    return buffer.getvalue()


def curves(
    lines: Sequence[Mapping[str, float]], quantities: Mapping[str, Quantity], units: Mapping[str, str]
) -> "Figure":
    """Return a figure with a panel for each quantity that the training or the validation loops logged.

    Args:
      lines: of `metrics.jsonl`.
      quantities: meanings of the scores, by key.
      units: of what the objectives log, by name.
    """
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
        axes.set(xlabel="step", ylabel=f"{name} ({logged_unit(name, quantities, units)})".removesuffix(" ()"))
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    return figure
