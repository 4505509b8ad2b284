"""Curves of runs over one another, a colour for each group."""

import io
from collections.abc import Sequence

from tfdgm.comparisons.run_groups import RunGroup
from tfdgm.evaluation.units import logged_unit
from tfdgm.reporting.plot_style import plain_style

_VALIDATION = "validation_"
#: Largest number of groups, which are as many as there are colours to tell apart.
MOST_GROUPS = 10


def overlaid_curves(groups: Sequence[RunGroup]) -> bytes | None:
    """Return a PNG with a panel for each validation score and a line for each run; None if there is none to draw.

    Runs without validation show the loss of training.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = groups[:MOST_GROUPS]
    logged = dict.fromkeys(name for group in groups for run in group.runs for line in run.lines for name in line)
    names = [name for name in logged if name.startswith(_VALIDATION)] or [name for name in logged if name == "loss"]
    if not names:
        return None
    quantities = {name: meaning for group in groups for run in group.runs for name, meaning in run.quantities.items()}
    rows = -(-len(names) // 2)
    figure = Figure(figsize=(10, 3 * rows + 0.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with plain_style():
        for number, name in enumerate(names):
            axes = figure.add_subplot(rows, 2, number + 1)
            for position, group in enumerate(groups):
                for run in group.runs:
                    points = [(line["step"], line[name]) for line in run.lines if name in line]
                    steps, values = zip(*points, strict=True) if points else ((), ())
                    axes.plot(steps, values, ".-", markersize=3, linewidth=1, color=f"C{position}")
            unit = logged_unit(name.removeprefix(_VALIDATION), quantities, {})
            axes.set(xlabel="step", ylabel=unit)
            axes.set_title(name.replace("_", " "), loc="left", fontsize="medium")
            axes.grid(alpha=0.3)
        lines = [axes.plot([], [], ".-", color=f"C{position}")[0] for position in range(len(groups))]
        figure.legend(lines, [group.name for group in groups], loc="outside upper left", frameon=False)
        figure.savefig(buffer)
    return buffer.getvalue()
