"""Integrals over the line and the plane with any tails, and comparisons of draws with a density."""

import itertools
from collections.abc import Callable

import numpy as np
from scipy.stats import chi2

from tfdgm.testing.checks import NotApplicable

#: Density -> its values at points `[n, d]`.
Density = Callable[[np.ndarray], np.ndarray]

#: Largest |u| on the axes z = centre + scale sinh(u): 1,800 scales from the centre.
_REACH = 8.2
#: Points on an axis, by dimension: the step in u is 0.02 on the line and 0.09 in the plane.
_POINTS = {1: 801, 2: 181}
#: Largest relative difference between the integral and that with half the points on each axis.
_CONVERGED = 0.005
#: Probability of a false alarm; the seeds are fixed, so a plugin passes always or never.
_FALSE_ALARM = 1e-6


class Grid:
    """The trapezoidal rule in u, where z = centre + scale sinh(u) on each axis: fine at the centre, wide in the tails.

    Args:
      draws: `[n, d]` with d = 1 or 2; their medians and quartiles are centre and scale.
    """

    def __init__(self, draws: np.ndarray) -> None:
        low, self.centre, high = np.quantile(draws.astype(float), [0.25, 0.5, 0.75], axis=0)
        self.scale = np.maximum((high - low) / 2, 1e-6)
        u, step = np.linspace(-_REACH, _REACH, _POINTS[draws.shape[1]], retstep=True)
        axes = [centre + scale * np.sinh(u) for centre, scale in zip(self.centre, self.scale, strict=True)]
        widths = [scale * np.cosh(u) * step for scale in self.scale]
        self.points = np.array(list(itertools.product(*axes)))
        self.weights = np.prod(list(itertools.product(*widths)), axis=1)
        number = np.indices([len(u)] * len(axes)).reshape(len(axes), -1)
        self.every_second = np.all(number % 2 == 0, axis=0)

    def bounded(self, z: np.ndarray) -> np.ndarray:
        """Return bounded functions of z whose means exist for every density: tanh, tanh^2 and products, `[n, f]`."""
        t = np.tanh((z - self.centre) / self.scale)
        products = [t[:, i] * t[:, j] for i in range(t.shape[1]) for j in range(i, t.shape[1])]
        return np.concatenate([t, np.stack(products, axis=1)], axis=1)


def mass_and_moments(grid: Grid, density: Density) -> tuple[float, np.ndarray]:
    """Return the integral of a density, and its integrals with `Grid.bounded` divided by it.

    Raises:
      NotApplicable: half as many points on each axis give another integral: the density is too narrow for the grid.
    """
    weighted = density(grid.points).astype(float) * grid.weights
    mass = weighted.sum()
    coarse = weighted[grid.every_second].sum() * 2 ** grid.points.shape[1]
    if abs(mass - coarse) > _CONVERGED * abs(mass):
        raise NotApplicable(f"the quadrature has not converged: {coarse:.4g} with half the points, {mass:.4g} with all")
    return float(mass), weighted @ grid.bounded(grid.points) / mass


def standard_scores(grid: Grid, moments: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return by how many standard errors the means of draws differ from moments of the density."""
    values = grid.bounded(draws.astype(float))
    return (values.mean(axis=0) - moments) / (values.std(axis=0) / np.sqrt(len(values)) + 1e-12)


def chi_squared(counts: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """Return Pearson's statistic, and its value that fair draws exceed with probability 1e-6.

    Cells with fewer than five expected counts are merged into one.
    """
    expected = probabilities / probabilities.sum() * counts.sum()
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    statistic = np.sum((counts[kept] - expected[kept]) ** 2 / expected[kept]) + np.sum(counts[~kept]) * 1e9
    return float(statistic), float(chi2.isf(_FALSE_ALARM, max(kept.sum() - 1, 1)))
