"""Precision, recall, density and coverage."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from tfdgm import Quantity, precision_recall
from tfdgm_scores.features import FeatureScore

#: Recommended by Naeem et al. 2020.
_NEIGHBOURS = 5
_SAMPLES = "generation_samples of each"


class PrecisionRecall(FeatureScore):
    """Shares of samples and examples in each other's balls, which reach to the fifth neighbour in their own set.

    Sources: Kynkäänniemi et al. 2019; Naeem et al. 2020.
    """

    rank = 70
    more_than = _NEIGHBOURS
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "precision": Quantity(
            "share of the samples",
            "samples in some ball of an example",
            "larger",
            _SAMPLES,
            "not 1 for the data itself; falls with the dimension",
            main=True,
        ),
        "recall": Quantity(
            "share of the data",
            "examples in some ball of a sample",
            "larger",
            _SAMPLES,
            "not 1 for the data itself; falls with the dimension",
            main=True,
        ),
        "density": Quantity(
            "of the data's own", "pairs of a sample in the ball of an example, over 5 n", None, _SAMPLES
        ),
        "coverage": Quantity(
            "share of the data",
            "examples with a sample in their ball",
            "larger",
            _SAMPLES,
            "expected 0.969 for the data itself",
        ),
    }

    def compare(self, real: np.ndarray, fake: np.ndarray, note: Callable[[str], None]) -> dict[str, float]:
        return precision_recall(real, fake, _NEIGHBOURS, note)
