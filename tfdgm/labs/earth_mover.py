"""W1 is the least work that carries one heap of earth onto another: mass times distance (Monge 1781; Kantorovich
1942). P_ij is the mass that plan P moves from i to j; its rows sum to the first heap and its columns to the second.
The dual has prices u and v with u_i + v_j <= c_ij. The value of any such prices is a lower bound on the cost of every
plan, and at the optimum they are equal (Kantorovich and Rubinstein 1958). The critic of a Wasserstein GAN learns these
prices.

The heaps on a line are a worked example: there W1 is the area between the cumulative distributions. The points in the
plane come from two data sets of the framework.
"""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from tfdgm.evaluation.transport import Transport, transport, wasserstein
from tfdgm.labs.figures import BLACK, BLUE, ORANGE, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, below, near
from tfdgm.labs.trainings import read_experiment

#: The heaps of the worked example, at 1, 2, ..., 8 metres.
P = np.array([0.15, 0.30, 0.25, 0.10, 0.10, 0.10, 0.00, 0.00])
Q = np.array([0.00, 0.05, 0.00, 0.10, 0.10, 0.20, 0.35, 0.20])
PLACES = np.arange(1.0, 9.0)


def run(settings: LabSettings) -> LabResult:
    heaps = transport(P, Q, distances(PLACES[:, None], PLACES[:, None]))
    x, y = (
        read_experiment(settings, "earth_mover.gin", f"experiment.data = @data.{name}()").splits["test"]
        for name in ("moons", "ring")
    )
    first, second = (source.gather(np.arange(len(source))).astype(np.float64) for source in (x, y))
    p, q = (np.full(len(points), 1 / len(points)) for points in (first, second))
    plane = transport(p, q, distances(first, second))
    rows = [*_rows("line", heaps, PLACES[:, None], PLACES[:, None]), *_rows("plane", plane, first, second)]
    area = float(np.sum(np.abs(np.cumsum(P) - np.cumsum(Q))))
    checks = [
        near("line: the cost is the area between the cumulative distributions", heaps.cost, area, 1e-9),
        *_checks("line", heaps, P, Q, distances(PLACES[:, None], PLACES[:, None])),
        near(
            "plane: the cost is the Wasserstein distance of the evaluation",
            plane.cost,
            wasserstein(first, second),
            1e-6,
        ),
        *_checks("plane", plane, p, q, distances(first, second)),
    ]
    return LabResult(rows, _figure(heaps, plane, first, second), checks)


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ||x_i - y_j|| `[n, m]`."""
    return np.linalg.norm(x[:, None] - y[None], axis=-1)


def _rows(where: str, found: Transport, x: np.ndarray, y: np.ndarray) -> list[Row]:
    """Return a row for each positive entry of the plan."""
    return [
        {
            "example": where,
            "from": _place(x[i]),
            "to": _place(y[j]),
            "mass": float(found.plan[i, j]),
            "distance": float(np.linalg.norm(x[i] - y[j])),
            "u": float(found.u[i]),
            "v": float(found.v[j]),
        }
        for i, j in np.argwhere(found.plan > 0)
    ]


def _place(point: np.ndarray) -> str:
    return " ".join(f"{value:.4g}" for value in point)


def _checks(where: str, found: Transport, p: np.ndarray, q: np.ndarray, cost: np.ndarray) -> list[Check]:
    rows, columns = (float(np.max(np.abs(found.plan.sum(axis=a) - m))) for a, m in ((1, p), (0, q)))
    dual = float(p @ found.u + q @ found.v)
    excess = float(np.max(found.u[:, None] + found.v[None] - cost))
    return [
        near(f"{where}: the plan's rows sum to the first heap", rows, 0.0, 1e-9),
        near(f"{where}: the plan's columns sum to the second", columns, 0.0, 1e-9),
        near(f"{where}: the value of the prices is the cost", dual, found.cost, 1e-9),
        below(f"{where}: no pair of prices exceeds its distance", excess, 1e-9),
    ]


def _figure(heaps: Transport, plane: Transport, first: np.ndarray, second: np.ndarray) -> Figure:
    figure = slide()
    corners = figure.add_gridspec(2, 2, width_ratios=(1, 1.15), height_ratios=(1, 1.3))
    bars = figure.add_subplot(corners[0, 0])
    bars.bar(PLACES - 0.2, P, 0.4, color=BLUE, label="from")
    bars.bar(PLACES + 0.2, Q, 0.4, color=ORANGE, label="to")
    bars.set(
        xlabel="place (m)", ylabel="mass", title=f"two heaps: $W_1$ = {heaps.cost:.2f} m", xticks=PLACES, ylim=(0, 0.47)
    )
    bars.legend(loc="upper left", ncols=2)
    matrix = figure.add_subplot(corners[1, 0])
    shown = matrix.pcolormesh(PLACES, PLACES, heaps.plan.T, cmap="viridis")
    matrix.set(
        xlabel="from (m)", ylabel="to (m)", title="an optimal plan", xticks=PLACES, yticks=PLACES, aspect="equal"
    )
    matrix.grid(False)
    for i, j in np.argwhere(heaps.plan > 0):
        colour = BLACK if heaps.plan[i, j] > 0.12 else "white"
        matrix.text(
            PLACES[i], PLACES[j], f"{heaps.plan[i, j]:.2f}", color=colour, ha="center", va="center", fontsize=15
        )
    figure.colorbar(shown, ax=matrix, label="mass moved")
    points = figure.add_subplot(corners[:, 1])
    lines = [(first[i], second[j]) for i, j in np.argwhere(plane.plan > 0)]
    points.add_collection(LineCollection(lines, colors=BLACK, linewidths=1.2, alpha=0.6))
    points.scatter(first[:, 0], first[:, 1], s=90, color=BLUE, label="moons", zorder=3)
    points.scatter(second[:, 0], second[:, 1], s=90, color=ORANGE, marker="s", label="ring", zorder=3)
    points.set(xlabel="$x_1$ (units of x)", ylabel="$x_2$ (units of x)", aspect="equal")
    points.set_title(f"two sets of points: $W_1$ = {plane.cost:.3f} units of x")
    points.legend(loc="upper right")
    return figure
