"""The style of the figures, legible from the last row: 1600 x 900 pixels, large type, colour-blind safe colours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfdgm.reporting.pictures import plain_style
from tfdgm.system.files import replacing

#: The colours of Okabe and Ito (2008), distinguishable with any colour vision.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip

_STYLE: dict[Any, Any] = {
    "figure.figsize": (16.0, 9.0),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 18,
    "axes.titlesize": 18,
    "axes.labelsize": 18,
    "xtick.labelsize": 16,
    "ytick.labelsize": 16,
    "legend.fontsize": 16,
    "legend.frameon": False,
    "lines.linewidth": 3,
    "lines.markersize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


@contextmanager
def slides() -> Iterator[None]:
    """Create and save figures in this style within the block; restore matplotlib's settings after it."""
    with plain_style(), rc_context(_STYLE):
        yield


def slide() -> Figure:
    """Return an empty figure with its own canvas, so that matplotlib needs no window system."""
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    with replacing(path) as file:
        figure.savefig(file, format="png")
