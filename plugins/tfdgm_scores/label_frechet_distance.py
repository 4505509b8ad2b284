"""The Fréchet distance of each label, averaged."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tfdgm import Evaluation, Quantity, Score, frechet_distance
from tfdgm_scores.labels import label_obstacle


class LabelFrechetDistance(Score):
    """The mean over labels of the Fréchet distance between the examples of a label and the draws asked for it.

    It sees a model that draws good examples of a wrong label, which the distance over all labels does not (Benny et al.
    2021, "within class").
    """

    rank = 83
    note_key = "generation_note"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "label_frechet_distance": Quantity(
            "squared units of the features",
            "mean over y of the Frechet distance between features of x given y",
            "smaller",
            "generation_samples of each, divided among the labels",
            "about f (f + 5) / (2 n) too large for n >> f features, n examples of each label",
        )
    }

    def obstacle(self, run: Evaluation) -> str | None:
        if not run.comparison.has_features:
            return "the data defines no features"
        return label_obstacle(run) or run.comparison.problem

    def compute(self, run: Evaluation) -> dict[str, float]:
        comparison = run.comparison
        if comparison.feature_problem is not None:
            run.note(comparison.feature_problem)
            return {}
        real, fake = comparison.features
        assert comparison.y is not None and comparison.examples_y is not None
        of_real, of_fake = comparison.examples_y, comparison.y[: len(fake)]
        pairs = [(real[of_real == label], fake[of_fake == label]) for label in np.unique(of_real)]
        usable = [pair for pair in pairs if min(map(len, pair)) > 1]
        if not usable:
            run.note("label_frechet_distance needs two examples and two draws of a label")
            return {}
        if len(usable) < len(pairs):
            run.note(f"label_frechet_distance omits {len(pairs) - len(usable)} labels with one example or draw")
        fewest = min(len(part) for pair in usable for part in pair)
        if fewest <= real.shape[1]:
            run.note(f"label_frechet_distance is mostly bias: a label has {fewest} samples of {real.shape[1]} features")
        return {"label_frechet_distance": float(np.mean([frechet_distance(*pair) for pair in usable]))}
