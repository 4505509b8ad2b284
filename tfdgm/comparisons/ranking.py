"""Which group of runs is best by a score, and which the seeds do not distinguish from it."""

import math
from collections.abc import Sequence
from typing import Literal

from tfdgm.contracts.quantity import Quantity

#: "best"; "tied": a test does not distinguish it from the best; or "".
Mark = Literal["best", "tied", ""]
#: Level of the test.
LEVEL = 0.05


def marks(groups: Sequence[Sequence[float]], quantity: Quantity) -> list[Mark]:
    """Return the mark of each group of values.

    The best has the best mean; equal means are all best. A group is tied with the best if Welch's t-test at level 0.05
    (Welch 1947) does not distinguish their means, which takes two values of each. No group is marked if the score has
    no direction, or if fewer than two groups have finite values.

    Args:
      groups: values of the score over seeds, for each group.
      quantity: the meaning of the score.
    """
    means = [sum(values) / len(values) if values else math.nan for values in groups]
    finite = [mean for mean in means if math.isfinite(mean)]
    if quantity.better is None or len(finite) < 2:
        return ["" for _ in groups]
    best_mean = (max if quantity.better == "larger" else min)(finite)
    best = groups[means.index(best_mean)]
    return [_mark(values, mean, best, best_mean) for values, mean in zip(groups, means, strict=True)]


def _mark(values: Sequence[float], mean: float, best: Sequence[float], best_mean: float) -> Mark:
    if mean == best_mean:
        return "best"
    return "tied" if math.isfinite(mean) and welch_p_value(values, best) > LEVEL else ""


def welch_p_value(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p-value of Welch's t-test of equal means; 0 if a sample has fewer than two values."""
    from scipy.special import stdtr  # not at the top: only ties need it

    if min(len(first), len(second)) < 2:
        return 0.0
    means = [sum(sample) / len(sample) for sample in (first, second)]
    variances = [
        sum((value - mean) ** 2 for value in sample) / (len(sample) - 1) / len(sample)
        for sample, mean in zip((first, second), means, strict=True)
    ]
    if sum(variances) == 0:
        return float(means[0] == means[1])
    t = (means[0] - means[1]) / math.sqrt(sum(variances))
    freedom = sum(variances) ** 2 / sum(
        variance**2 / (len(sample) - 1) for sample, variance in zip((first, second), variances, strict=True)
    )
    return float(2 * stdtr(freedom, -abs(t)))
