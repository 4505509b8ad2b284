"""Precision and recall of samples by balls around neighbours, and density and coverage."""

import numpy as np

from tfdgm.evaluation.distances import squared_distances

#: As Naeem et al. 2020 recommend.
NEIGHBOURS = 5


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> dict[str, float]:
    """Four shares from closed balls B(x_i, r_i) around every point, r_i the distance to its k-th neighbour in its set.

    Args:
      real: examples x_i `[n, d]`.
      fake: samples y_j `[m, d]`.
      k: which neighbour.

    Returns:
      `precision`: share of the y_j in some ball around a x_i (Kynkäänniemi et al. 2019, equation 2).
      `recall`: share of the x_i in some ball around a y_j (the same).
      `density`: number of pairs with y_j in the ball of x_i, over k m (Naeem et al. 2020, section 3); may exceed 1.
      `coverage`: share of the x_i with some y_j in their ball (the same).

    Raises:
      ValueError: a set has no k-th neighbour.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"{k} neighbours need more than {k} points, got {len(real)} and {len(fake)}")
    real_radii, fake_radii = neighbour_radii(real, k), neighbour_radii(fake, k)
    precise, inside = np.zeros(len(fake), bool), 0
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows, squares in squared_distances(real, fake):
        in_real = squares <= real_radii[rows, None]
        inside += int(np.count_nonzero(in_real))
        precise |= in_real.any(axis=0)
        covered[rows] = in_real.any(axis=1)
        recalled[rows] = (squares <= fake_radii).any(axis=1)
    return {
        "precision": float(precise.mean()),
        "recall": float(recalled.mean()),
        "density": float(inside / (k * len(fake))),
        "coverage": float(covered.mean()),
    }


def neighbour_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance from every point `[n, d]` to its k-th nearest neighbour among the others, `[n]`."""
    radii = np.empty(len(points))
    for rows, squares in squared_distances(points, points):
        squares[np.arange(len(squares)), np.arange(len(points))[rows]] = np.inf
        radii[rows] = np.partition(squares, k - 1, axis=1)[:, k - 1]
    return radii
