"""The figures of a run, for a notebook."""

import io
import sys
from contextlib import suppress
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfdgm.contracts.specs import DataSpec
from tfdgm.errors import UserError
from tfdgm.reporting.pictures import pixels, plain_style, scatter
from tfdgm.reporting.run_page import curves
from tfdgm.runs.experiment import Built
from tfdgm.runs.workdir import Workdir
from tfdgm.trained.sampling import by_label

_IMAGES, _POINTS, _LINES = 64, 2_500, 8


def figures(run: Any, built: Built, folder: Workdir, split: str) -> dict[str, Figure]:
    """Return the figures of a run by name; see `TrainedRun.figures`."""
    _show_in_notebooks()
    spec, drawn = run.experiment.data.spec, {}
    with plain_style():
        if spec.image_shape is not None:
            drawn["samples"] = _samples(run, spec, by_label(built, _IMAGES))
            if run.experiment.posterior is not None:
                drawn |= _of_examples(run, split, spec)
        elif spec.shape == (2,):
            drawn["samples"] = scatter(run.sample(_POINTS).x)
        if lines := folder.metrics():
            drawn["curves"] = curves(lines, folder.quantities(), folder.run_record().get("units", {}))
    return drawn


def _samples(run: Any, spec: DataSpec, labels: np.ndarray | None) -> Figure:
    """Return samples, in a model of labels a row for each."""
    title = "E[x|z] at draws of z from the prior"
    if labels is None:
        return _images(run.sample(_IMAGES).mean, spec, title)
    columns = int(np.sum(labels == labels[0]))
    return _images(run.sample(len(labels), labels).mean, spec, f"{title}, a row for each label", columns)


def _of_examples(run: Any, split: str, spec: DataSpec) -> dict[str, Figure]:
    """Return reconstructions of examples, and lines between pairs of them."""
    x, y = run.examples(_IMAGES // 2, split)
    y = y if run.conditional else None
    pairs = np.stack([x, run.reconstruct(x, y, seed=0)], axis=1).reshape(-1, *x.shape[1:])
    drawn = {"reconstructions": _images(pairs, spec, f"pairs: example of the {split} split, reconstruction")}
    half = min(len(x) // 2, _LINES)
    with suppress(UserError):  # q(z|x) has no mean
        lines = run.interpolate(x[:half], x[half : 2 * half], _LINES, None if y is None else y[:half])
        drawn["interpolations"] = _images(
            lines.reshape(-1, *x.shape[1:]), spec, "lines in z between two examples", columns=_LINES
        )
    return drawn


def _images(examples: np.ndarray, spec: DataSpec, title: str, columns: int | None = None) -> Figure:
    """Return a figure with a grid of images."""
    shown = pixels(examples, spec, columns)
    width = 5.0
    figure = Figure(figsize=(width, width * shown.shape[0] / shown.shape[1] + 0.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    return figure


def _show_in_notebooks() -> None:
    """Make a notebook show figures as pictures; pyplot does so too, once it draws one of its own."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None:
        formatter = shell.display_formatter.formatters["image/png"]
        if Figure not in formatter:
            formatter.for_type(Figure, _png)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with plain_style():
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
