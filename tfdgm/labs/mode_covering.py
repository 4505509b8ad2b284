"""A Gaussian q cannot match a mixture pi of two Gaussians; which fit is best depends on the divergence. The forward
KL(pi || q) penalises a lack of mass where pi has some, so q covers both modes and the gap between them. The reverse
KL(q || pi) penalises mass where pi has none, so q covers one mode. The Jensen-Shannon divergence lies between: at this
distance of the modes both fits are minima of it, with similar values (Minka 2005; Theis et al. 2016, figure 1).

pi is the density of the data and q the prior. The simplex method fits its mean and scales, from a start that covers pi
and from a start at one mode; the divergences are sums over a grid. The forward fit is known exactly: q has the mean
and the variances of pi.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from scipy.optimize import minimize

from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Context
from tfdgm.evaluation.divergences import grid, jsd, kl
from tfdgm.labs.figures import BLUE, ORANGE, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, near
from tfdgm.labs.trainings import build
from tfdgm.numerics.randomness import root_seed

_X1, _X2 = np.linspace(-8, 8, 161), np.linspace(-3.6, 3.6, 49)

Divergence = Callable[[np.ndarray, np.ndarray], float]
DIVERGENCES: dict[str, Divergence] = {
    "forward KL": kl,
    "reverse KL": lambda pi, q: kl(q, pi),
    "JSD": jsd,
}


class Fit:
    """The density pi of the data and the prior q on a grid.

    q is a function of its mean and the logarithms of its scales, `[4]`.
    """

    def __init__(self, settings: LabSettings) -> None:
        built = build(settings, "mode_covering.gin")
        self.points, self.volume = grid(_X1, _X2)
        self._x = tf.constant(self.points, tf.float32)
        self.pi = self._mass(built.experiment.data.density())
        self.prior = built.model.prior
        self.context = Context(root_seed(settings.seed, "lab"), tf.constant(0, tf.int64))
        self.mean = self.pi @ self.points
        self.scales = np.sqrt(self.pi @ (self.points - self.mean) ** 2)
        self.peak = np.abs(self.points[np.argmax(self.pi)])
        self.starts = {
            "both modes": np.concatenate([self.mean + np.array([0.1, 0.0]), np.log(self.scales)]),
            "one mode": np.concatenate([self.peak, np.log(self.scales[[1, 1]])]),
        }

    def _mass(self, density: Any) -> np.ndarray:
        """Return the probability of every cell of the grid."""
        return self.volume * np.exp(density.log_prob(self._x).numpy().astype(np.float64))

    def q(self, parameters: np.ndarray) -> np.ndarray:
        """Return the probability of every cell of the grid under q."""
        for variable, values in zip(self.prior.trainable_variables(), np.split(parameters, 2), strict=True):
            raw(variable).assign(values)
        return self._mass(self.prior.distribution(self.context))

    def minimise(self, divergence: Divergence, start: np.ndarray) -> np.ndarray:
        """Return the parameters of the local minimum that is reached from `start`."""
        return minimize(
            lambda parameters: divergence(self.pi, self.q(parameters)),
            start,
            method="Nelder-Mead",
            options={"xatol": 1e-3, "fatol": 1e-6, "maxiter": 400},
        ).x


def run(settings: LabSettings) -> LabResult:
    fit = Fit(settings)
    rows: list[Row] = []
    curves = []
    for name, divergence in DIVERGENCES.items():
        for start, parameters in fit.starts.items():
            found = fit.minimise(divergence, parameters)
            q, scales = fit.q(found), np.exp(found[2:])
            rows.append(
                {
                    "minimised": name,
                    "start": start,
                    "nats": divergence(fit.pi, q),
                    "mean_x1": float(found[0]),
                    "mean_x2": float(found[1]),
                    "scale_x1": float(scales[0]),
                    "scale_x2": float(scales[1]),
                }
            )
            curves.append(q / fit.volume)
    return LabResult(rows, _figure(fit, rows, curves), _checks(fit, rows))


def _checks(fit: Fit, rows: list[Row]) -> list[Check]:
    cover, mode = ({row["minimised"]: row for row in rows if row["start"] == start} for start in fit.starts)
    forward, reverse = cover["forward KL"], mode["reverse KL"]
    return [
        near("forward KL: mean of q along x1 is that of pi", float(forward["mean_x1"]), float(fit.mean[0]), 0.01),
        near("forward KL: scale of q along x1 is that of pi", float(forward["scale_x1"]), float(fit.scales[0]), 0.01),
        near("forward KL: scale of q along x2 is that of pi", float(forward["scale_x2"]), float(fit.scales[1]), 0.01),
        near("forward KL: one mode is no minimum", float(mode["forward KL"]["nats"]), float(forward["nats"]), 1e-3),
        near("reverse KL: q lies on one mode", abs(float(reverse["mean_x1"])), float(fit.peak[0]), 0.1),
        near("reverse KL: half of pi costs log 2", float(reverse["nats"]), float(np.log(2)), 0.01),
        near("JSD: one minimum covers both modes", float(cover["JSD"]["mean_x1"]), float(fit.mean[0]), 0.05),
        near("JSD: one minimum lies on one mode", abs(float(mode["JSD"]["mean_x1"])), float(fit.peak[0]), 0.1),
        near("JSD: both minima have similar values", float(cover["JSD"]["nats"]), float(mode["JSD"]["nats"]), 0.01),
    ]


def _figure(fit: Fit, rows: list[Row], curves: list[np.ndarray]) -> Figure:
    figure = slide()
    shape = (len(_X1), len(_X2))
    pi = fit.pi.reshape(shape) / fit.volume
    spacing = _X2[1] - _X2[0]
    styles = {"both modes": (RED, "solid"), "one mode": (ORANGE, "dashed")}
    for number, name in enumerate(DIVERGENCES):
        plane, line = figure.add_subplot(2, 3, number + 1), figure.add_subplot(2, 3, number + 4)
        plane.contour(_X1, _X2, pi.T, levels=_contours(pi), colors=BLUE, linewidths=2.5)
        line.plot(_X1, pi.sum(axis=1) * spacing, color=BLUE, label=r"data $\pi$")
        found = {
            f"{row['nats']:.3f}": (row, q) for row, q in zip(rows, curves, strict=True) if row["minimised"] == name
        }
        best = min(float(row["nats"]) for row, _ in found.values())
        for nats, (row, q) in found.items():
            if float(row["nats"]) < best + 0.02:
                colour, style = styles["both modes" if abs(float(row["mean_x1"])) < 1 else "one mode"]
                density = q.reshape(shape)
                levels = _contours(density)
                plane.contour(_X1, _X2, density.T, levels=levels, colors=colour, linestyles=style, linewidths=2.5)
                along = density.sum(axis=1) * spacing
                line.plot(_X1, along, color=colour, linestyle=style, label=f"$q$ at {nats} nats")
        plane.set(xlim=(-6, 6), ylim=(-3, 3), title=name, xlabel="$x_1$ (units of x)", ylabel="$x_2$ (units of x)")
        line.set(xlim=(-6, 6), ylim=(0, 0.95), xlabel="$x_1$ (units of x)", ylabel="density of $x_1$")
        line.legend(loc="upper left")
    return figure


def _contours(density: np.ndarray) -> np.ndarray:
    """Return the levels of a Gaussian at 3, 2 and 1 standard deviations."""
    return np.max(density) * np.exp(-0.5 * np.array([3, 2, 1]) ** 2)
