"""The maximum mean discrepancy between features."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from tfdgm import Quantity, median_distance, mmd
from tfdgm_scores.features import FeatureScore


class MMD(FeatureScore):
    """The unbiased estimate of MMD^2 (Gretton et al. 2012, lemma 6) with kernel exp(-||x - y||^2 / (2 s^2)).

    s is the median distance between at most 1,000 of the examples.
    """

    rank = 90
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "mmd": Quantity(
            "squared, at most 2",
            "E k(x, x') + E k(y, y') - 2 E k(x, y), k(x, y) = exp(-||x - y||^2 / (2 s^2))",
            "smaller",
            "generation_samples of each",
            "none; may be negative",
        )
    }

    def compare(self, real: np.ndarray, fake: np.ndarray, note: Callable[[str], None]) -> dict[str, float]:
        bandwidth = median_distance(real)
        if bandwidth == 0:
            note("at least half of the distances between examples are 0, so mmd does not apply")
            return {}
        return {"mmd": mmd(real, fake, bandwidth)}
