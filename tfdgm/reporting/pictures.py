"""Draw examples as pictures."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfdgm.contracts.specs import DataSpec
from tfdgm.errors import UserError
from tfdgm.reporting.plot_style import plain_style
from tfdgm.system.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST_PIXELS = 512


def can_draw(spec: DataSpec) -> bool:
    """Return whether examples have a picture: whether they are images or points in the plane."""
    return spec.image_shape is not None or spec.shape == (2,)


def save_examples(path: Path, examples: np.ndarray, spec: DataSpec, columns: int | None = None) -> None:
    """Write a PNG: images as a grid, points in the plane as a scatter plot.

    Args:
      path: the file to write.
      examples: `[count, *spec.shape]`.
      spec: of the examples.
      columns: images per row; by default the grid is as square as possible.

    Raises:
      UserError: examples of this shape have no picture.
    """
    if spec.image_shape is not None:
        _save_grid(path, pixels(examples, spec, columns))
    elif spec.shape == (2,):
        _save_scatter(path, examples)
    else:
        raise UserError(f"examples of shape {spec.shape} have no picture; write an .npz file instead")


def pixels(examples: np.ndarray, spec: DataSpec, columns: int | None = None) -> np.ndarray:
    """Return images `[count, *spec.shape]` as a grid `[H, W(, 3)]` of values in [0, 1]."""
    assert spec.image_shape is not None
    images = examples.reshape(len(examples), *spec.image_shape)
    low = spec.low if math.isfinite(spec.low) else float(images.min())
    high = spec.high if math.isfinite(spec.high) else float(images.max())
    return grid(np.clip((images - low) / max(high - low, 1e-12), 0, 1), columns)


def _save_grid(path: Path, shown: np.ndarray) -> None:
    from matplotlib import image

    factor = max(1, _LEAST_PIXELS // min(shown.shape[:2]))
    repeated = shown.repeat(factor, axis=0).repeat(factor, axis=1)
    with replacing(path) as file:
        image.imsave(file, repeated, format="png", cmap="gray", vmin=0.0, vmax=1.0)


def grid(images: np.ndarray, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Lay out images `[count, h, w(, 3)]` in rows on grey, `gap` pixels apart; return `[H, W(, 3)]`."""
    count, height, width = images.shape[:3]
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, *images.shape[3:]), 0.5)
    for number, picture in enumerate(images):
        top, left = (gap + place * (side + gap) for place, side in zip(divmod(number, columns), (height, width)))  # noqa: B905
        canvas[top : top + height, left : left + width] = picture
    return canvas


def _save_scatter(path: Path, points: np.ndarray) -> None:
    with plain_style(), replacing(path) as file:
        scatter(points).savefig(file, format="png")


def scatter(points: np.ndarray) -> "Figure":
    """Return a figure of points in the plane `[count, 2]`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(points[:, 0], points[:, 1], s=4, alpha=0.5, linewidths=0)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    return figure
