"""Draw tables: pairs of columns, marginal distributions and correlations, of the data beside draws from the model."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfdgm.contracts.data import evenly
from tfdgm.contracts.specs import DataSpec
from tfdgm.contracts.table_spec import Column, TableSpec
from tfdgm.reporting.pictures import plain_style
from tfdgm.system.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PAIRS = 6
_MARGINALS = 24
_CORRELATED = 40
_BINS = 30
_NAMED_CATEGORIES = 8
#: Colours that colour-blind readers tell apart (Okabe and Ito 2008).
_DATA, _DRAWS = "#0072B2", "#E69F00"


def can_draw_table(spec: DataSpec) -> bool:
    """Return whether examples are rows of a table, or vectors that have no picture of their own."""
    return spec.table is not None or (spec.image_shape is None and len(spec.shape) == 1 and spec.shape != (2,))


def save_table_pictures(folder: Path, step: int, spec: DataSpec, x: np.ndarray, draws: np.ndarray) -> dict[Path, str]:
    """Write three PNG files, `pairs-STEP.png`, `marginals-STEP.png` and `correlations-STEP.png`.

    Args:
      folder: to write to.
      step: of the model.
      spec: of the examples.
      x, draws: examples of the data, and draws from the model, `[n, *spec.shape]`.

    Returns:
      Captions by path.
    """
    data, model = _Values.of(spec, x), _Values.of(spec, draws)
    count = len(data.columns)
    captions = {}
    pictures: tuple[tuple[str, Callable[[_Values, _Values], Figure], str], ...] = (
        ("pairs", pairs, f"Pairs of {_first(_PAIRS, count)}"),
        ("marginals", marginals, f"Marginal distributions of {_first(_MARGINALS, count)}"),
        ("correlations", correlations, f"Correlations of {_first(_CORRELATED, len(data.labels), 'numbers of x')}"),
    )
    for name, figure, title in pictures:
        path = folder / f"{name}-{step}.png"
        with plain_style(), replacing(path) as file:
            figure(data, model).savefig(file, format="png")
        captions[path] = f"{title} at step {step:,}: {len(x):,} examples of the data and {len(draws):,} draws."
    return captions


def _first(most: int, count: int, what: str = "columns") -> str:
    return f"the {count} {what}" if count <= most else f"the first {most} of {count} {what}"


@dataclasses.dataclass(frozen=True)
class _Values:
    """Rows as they are drawn.

    Attributes:
      columns: of the table.
      values: by column, `[n]`: numbers in the table's units, or the codes of categories; NaN where missing.
      numbers: `[n, k]`, all numbers of x but those that say what is observed; NaN where missing.
      labels: of these, `[k]`.
    """

    columns: tuple[Column, ...]
    values: list[np.ndarray]
    numbers: np.ndarray
    labels: list[str]

    @staticmethod
    def of(spec: DataSpec, x: np.ndarray) -> "_Values":
        table = spec.table
        if table is None:
            table = TableSpec(tuple(Column(f"x{place}") for place in range(spec.size)))
            x = spec.restore(x)
        restored = table.restore(x)
        values, numbers, labels = [], [], []
        for column, place, observed in zip(table.columns, table.places, table.observed, strict=True):
            found = restored[column.name]
            if column.categories:
                codes = {name: code for code, name in enumerate(column.categories)}
                found = np.array([codes.get(name, np.nan) for name in found.tolist()])
            values.append(np.asarray(found, float))
            absent = np.zeros(len(x), bool) if observed is None else x[:, observed] < 0.5
            numbers.append(np.where(absent[:, None], np.nan, x[:, place]))
            labels += [column.name] if column.width == 1 else [f"{column.name} = {name}" for name in column.categories]
        return _Values(table.columns, values, np.concatenate(numbers, axis=1), labels)


def pairs(data: _Values, draws: _Values) -> "Figure":
    """Return a figure with a scatter plot of each pair of the first columns, and their histograms on the diagonal."""
    count = min(_PAIRS, len(data.columns))
    side = max(4.0, 1.9 * count)
    figure, grid = _figure((side, side), count, count)
    for row in range(count):
        for column in range(count):
            axes = grid[row][column]
            if column > row:
                axes.set_axis_off()
                continue
            if column == row:
                _histogram(axes, data.columns[row], data.values[row], draws.values[row])
                axes.set_yticks([])
            else:
                _scatter(axes, data, draws, column, row)
            _ticks(axes, data.columns[column], "x", named=row == count - 1)
            if column < row:
                _ticks(axes, data.columns[row], "y", named=column == 0)
            if row == count - 1:
                axes.set_xlabel(data.columns[column].name)
            if column == 0 and row:
                axes.set_ylabel(data.columns[row].name)
    _legend(figure)
    return figure


def _scatter(axes: "Axes", data: _Values, draws: _Values, first: int, second: int) -> None:
    limits: list[tuple[float, float]] = []
    for place in (first, second):
        limits.append(_limits(data.columns[place], data.values[place], draws.values[place]))
    random = np.random.RandomState(0)
    shown = min(len(data.numbers), len(draws.numbers))  # as many of both, or one would hide the other
    for rows, colour in ((data, _DATA), (draws, _DRAWS)):
        across, up = [
            rows.values[place][evenly(len(rows.numbers), shown)]
            + (random.uniform(-0.3, 0.3, shown) if data.columns[place].categories else 0)
            for place in (first, second)
        ]
        axes.scatter(across, up, s=3, alpha=0.35, linewidths=0, color=colour, rasterized=True)
    axes.set(xlim=limits[0], ylim=limits[1])


def marginals(data: _Values, draws: _Values) -> "Figure":
    """Return a figure with a histogram of each of the first columns, of data and draws on the same bins."""
    count = min(_MARGINALS, len(data.columns))
    across = min(4, count)
    down = math.ceil(count / across)
    figure, grid = _figure((2.8 * across, 2.3 * down), down, across)
    panels: Iterator[Any] = (axes for row in grid for axes in row)
    for place, axes in enumerate(panels):
        if place >= count:
            axes.set_axis_off()
            continue
        column = data.columns[place]
        _histogram(axes, column, data.values[place], draws.values[place])
        _ticks(axes, column, "x", named=True)
        axes.set_title(column.name, fontsize=9)
        axes.set_yticks([])
    _legend(figure)
    return figure


def _histogram(axes: "Axes", column: Column, data: np.ndarray, draws: np.ndarray) -> None:
    low, high = _limits(column, data, draws)
    edges: Any = np.linspace(low, high, _BINS + 1)
    if column.categories:
        edges = np.arange(len(column.categories) + 1) - 0.5
    elif column.decimals == 0 and high - low <= _BINS:
        edges = np.arange(math.floor(low) - 0.5, math.ceil(high) + 1)
    for values, colour in ((data, _DATA), (draws, _DRAWS)):
        seen = values[np.isfinite(values)]
        share = np.full(len(seen), 1 / max(1, len(seen)))
        axes.hist(seen, edges, weights=share, color=colour, alpha=0.5)
    axes.set_xlim(edges[0], edges[-1])


def _limits(column: Column, data: np.ndarray, draws: np.ndarray) -> tuple[float, float]:
    """Return the range to show: all categories, or all numbers but the outermost of the draws."""
    if column.categories:
        return -0.5, len(column.categories) - 0.5
    seen, drawn = (values[np.isfinite(values)] for values in (data, draws))
    ends = [*(np.quantile(seen, (0.002, 0.998)) if len(seen) else ()), *np.quantile(drawn, (0.01, 0.99))]
    low, high = min(ends), max(ends)
    margin = 0.03 * (high - low) or 0.5
    return low - margin, high + margin


def correlations(data: _Values, draws: _Values) -> "Figure":
    """Return a figure of the correlation matrices of data and draws, and of their difference, all from -1 to 1."""
    labels = data.labels[:_CORRELATED]
    matrices = [_correlation(rows.numbers[:, :_CORRELATED]) for rows in (data, draws)]
    size = max(2.6, 0.22 * len(labels))
    figure, ((*panels,),) = _figure((3 * size + 2.2, size + 1.4), 1, 3)
    error = matrices[1] - matrices[0]
    worst = np.nanmax(np.abs(error), initial=0.0)
    titles = ("data", "draws", f"draws - data, at most {worst:.2f}")
    for axes, matrix, title in zip(panels, (*matrices, error), titles, strict=True):
        image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set_xticks(range(len(labels)), labels, rotation=90)
        axes.set_yticks(range(len(labels)), labels if axes is panels[0] else [])
    figure.colorbar(image, ax=panels, shrink=0.8)
    return figure


def _correlation(numbers: np.ndarray) -> np.ndarray:
    """Return Pearson's correlations over the rows where both numbers are present; NaN where one is constant."""
    present = np.isfinite(numbers)
    filled, seen = np.where(present, numbers, 0.0).astype(float), present.astype(float)
    filled = filled - np.sum(filled, axis=0) / np.maximum(seen.sum(axis=0), 1) * seen
    both = np.maximum(seen.T @ seen, 1)
    mean, other = filled.T @ seen / both, seen.T @ filled / both
    square, other_square = (filled**2).T @ seen / both - mean**2, seen.T @ filled**2 / both - other**2
    variance = square * other_square
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 1e-12, (filled.T @ filled / both - mean * other) / np.sqrt(variance), np.nan)


def _figure(size: tuple[float, float], rows: int, columns: int) -> tuple["Figure", Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.tick_params(labelsize=7)
    return figure, grid


def _ticks(axes: "Axes", column: Column, axis: str, named: bool) -> None:
    """Label an axis with the column's categories, unless they are too many; without names if another panel has them."""
    if not named:
        if axis == "x":
            axes.tick_params(labelbottom=False)
        else:
            axes.tick_params(labelleft=False)
    if column.categories:
        shown = range(len(column.categories) if len(column.categories) <= _NAMED_CATEGORIES else 0)
        names = [str(column.categories[code])[:12] for code in shown]
        if axis == "x":
            axes.set_xticks(shown, names, rotation=45 if len(names) > 3 else 0)
        else:
            axes.set_yticks(shown, names)


def _legend(figure: "Figure") -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=_DATA, alpha=0.6, label="data"), Patch(color=_DRAWS, alpha=0.6, label="draws")]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
