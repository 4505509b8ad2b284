"""The maximum mean discrepancy with a Gaussian kernel."""

import numpy as np

from tfdgm.contracts.data import evenly
from tfdgm.evaluation.distances import squared_distances

#: Number of points for the median distance.
_BANDWIDTH_POINTS = 1_000


def mmd(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    """Return the unbiased estimate of MMD^2 (Gretton et al. 2012, lemma 6, equation 3), which may be negative.

        1/(n(n-1)) sum_{i != j} k(x_i, x_j) + 1/(m(m-1)) sum_{i != j} k(y_i, y_j) - 2/(nm) sum_ij k(x_i, y_j)

    with k(x, y) = exp(-||x - y||^2 / (2 s^2)), so that MMD^2 is at most 2.

    Args:
      x: `[n, d]`, n > 1.
      y: `[m, d]`, m > 1.
      bandwidth: s > 0.
    """
    within = sum((kernel_sum(points, points, bandwidth) / len(points) - 1) / (len(points) - 1) for points in (x, y))
    return within - 2 * kernel_sum(x, y, bandwidth) / (len(x) * len(y))


def kernel_sum(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    """Return the sum of k(x_i, y_j) over all pairs."""
    total = 0.0
    for _, squares in squared_distances(x, y):
        squares *= -0.5 / bandwidth**2
        total += np.exp(squares, out=squares).sum()
    return float(total)


def median_distance(points: np.ndarray) -> float:
    """Return the median distance between points, the usual bandwidth (Gretton et al. 2012, section 8).

    Gretton et al. use both sets; the data alone gives all models the same bandwidth. At most 1,000 points are used,
    spread evenly over those given.
    """
    chosen = points[evenly(len(points), min(len(points), _BANDWIDTH_POINTS))]
    squares = np.concatenate([block for _, block in squared_distances(chosen, chosen)])
    return float(np.sqrt(np.median(squares[np.triu_indices(len(chosen), 1)])))
