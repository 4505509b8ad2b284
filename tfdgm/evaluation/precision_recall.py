"""Precision, recall, density and coverage of samples, from nearest-neighbour balls."""

from collections.abc import Callable

import numpy as np

from tfdgm.evaluation.distances import squared_distances

#: Recommended by Naeem et al. 2020.
NEIGHBOURS = 5


def precision_recall(
    real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS, note: Callable[[str], None] = lambda text: None
) -> dict[str, float]:
    """Return `ball_scores` of examples `[n, d]` and samples `[m, d]`, with balls that reach the k-th neighbour.

    Args:
      real: examples.
      fake: samples.
      k: which neighbour.
      note: called with a sentence about balls of radius 0, if there are any; see `radius_notes`.

    Raises:
      ValueError: a set has k points or fewer.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"{k} neighbours need more than {k} points, got {len(real)} and {len(fake)}")
    radii = neighbour_radii(real, k), neighbour_radii(fake, k)
    for text in radius_notes(*radii, k):
        note(text)
    return ball_scores(real, fake, *radii, k)


def ball_scores(
    real: np.ndarray, fake: np.ndarray, real_radii: np.ndarray, fake_radii: np.ndarray, k: int
) -> dict[str, float]:
    """Compute four scores from closed balls around every point, with radius the distance to its k-th neighbour.

    If all balls of a set have radius 0, every point equals k others, and the balls do not measure how close the sets
    are; scores that use them are omitted.

    Args:
      real: examples x_i `[n, d]`.
      fake: samples y_j `[m, d]`.
      real_radii, fake_radii: squared radii, `[n]` and `[m]`, from `neighbour_radii`.
      k: which neighbour.

    Returns:
      `precision`: share of the y_j in some ball around a x_i (Kynkäänniemi et al. 2019, equation 2).
      `recall`: share of the x_i in some ball around a y_j (the same).
      `density`: number of pairs with y_j in the ball of x_i, over k m (Naeem et al. 2020, section 3); may exceed 1.
      `coverage`: share of the x_i with some y_j in their ball (the same).
    """
    precise, inside = np.zeros(len(fake), bool), 0
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows, squares in squared_distances(real, fake):
        in_real = squares <= real_radii[rows, None]
        inside += int(np.count_nonzero(in_real))
        precise |= in_real.any(axis=0)
        covered[rows] = in_real.any(axis=1)
        recalled[rows] = (squares <= fake_radii).any(axis=1)
    scores: dict[str, float] = {}
    if real_radii.any():
        scores["precision"] = float(precise.mean())
    if fake_radii.any():
        scores["recall"] = float(recalled.mean())
    if real_radii.any():
        scores |= {"density": float(inside / (k * len(fake))), "coverage": float(covered.mean())}
    return scores


def radius_notes(real_radii: np.ndarray, fake_radii: np.ndarray, k: int) -> list[str]:
    """Return notes about balls of radius 0, whose points all equal their centre in the features."""
    notes = []
    for radii, whose, scores, do in (
        (real_radii, "examples", "precision, density and coverage", "do"),
        (fake_radii, "draws", "recall", "does"),
    ):
        share = float(np.mean(radii == 0))
        if share == 1:
            notes.append(f"all {whose} equal {k} or more others in the features, so {scores} {do} not apply")
        elif share > 0:
            notes.append(
                f"{share:.2%} of the {whose} equal {k} or more others in the features, so the balls around them have "
                f"radius 0 in {scores}"
            )
    return notes


def neighbour_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Return the squared distance from every point `[n, d]` to its k-th nearest other point, `[n]`."""
    radii = np.empty(len(points))
    for rows, squares in squared_distances(points, points):
        squares[np.arange(len(squares)), np.arange(len(points))[rows]] = np.inf
        radii[rows] = np.partition(squares, k - 1, axis=1)[:, k - 1]
    return radii
