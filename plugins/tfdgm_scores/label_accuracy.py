"""Whether draws have the label that they were asked for."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tfdgm import Evaluation, Quantity, Score
from tfdgm_scores.labels import label_obstacle


class LabelAccuracy(Score):
    """The share of the draws x ~ p(x|y) to which the data's classifier gives the label y (`Data.classifier`).

    It is bounded by the classifier's own accuracy, which the data documents.
    """

    rank = 82
    note_key = "generation_note"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "label_accuracy": Quantity(
            "share of the samples",
            "draws x ~ p(x|y) that the data's classifier gives the label y",
            "larger",
            "all draws",
            main=True,
        )
    }

    def obstacle(self, run: Evaluation) -> str | None:
        if run.built.experiment.data.classifier() is None:
            return "the data has no classifier of labels"
        return label_obstacle(run) or run.comparison.problem

    def compute(self, run: Evaluation) -> dict[str, float]:
        classify = run.built.experiment.data.classifier()
        assert classify is not None and run.comparison.y is not None
        return {"label_accuracy": float(np.mean(classify(run.comparison.x) == run.comparison.y))}
