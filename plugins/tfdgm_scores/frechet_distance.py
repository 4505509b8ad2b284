"""The Fréchet distance between features."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from tfdgm import Evaluation, Quantity, frechet_distance
from tfdgm_scores.features import FeatureScore


class FrechetDistance(FeatureScore):
    """The squared Fréchet distance between Gaussians fitted to features (Heusel et al. 2017, equation 6)."""

    rank = 80
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "frechet_distance": Quantity(
            "squared units of the features",
            "||m1 - m2||^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))",
            "smaller",
            "generation_samples of each",
            "about f (f + 5) / (2 n) too large for n >> f features",
            main=True,
        )
    }

    def obstacle(self, run: Evaluation) -> str | None:
        return super().obstacle(run) if run.comparison.has_features else "the data defines no features"

    def compare(self, real: np.ndarray, fake: np.ndarray, note: Callable[[str], None]) -> dict[str, float]:
        count, size = real.shape
        if count <= size:
            note(f"frechet_distance is mostly bias: there are {count} samples of {size} features")
        return {"frechet_distance": frechet_distance(real, fake)}
