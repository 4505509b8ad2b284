"""How much of the labels a linear classifier reads from z."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tfdgm import Evaluation, Quantity, Score


class LinearProbe(Score):
    """The accuracy of a multinomial logistic regression from E_q(z|x)[z] to the label (Alain and Bengio 2017).

    It is fitted to the training split, with standardised inputs and scikit-learn's penalty |W|^2 / (2 C), C = 1, and
    tested on the split that is scored. Labels are those of the data, whether or not the model is conditioned on them.
    """

    rank = 41
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "linear_probe": Quantity(
            "share of the examples",
            "examples that a logistic regression from E_q(z|x)[z] to labels, fitted to the training split, gets right",
            "larger",
        )
    }

    def obstacle(self, run: Evaluation) -> str | None:
        condition = run.built.experiment.data.spec.condition
        if condition is None or condition.categories is None:
            return "the data has no labels"
        if run.built.model.posterior is None:
            return "the model has no posterior"
        return "the latent is discrete" if run.built.model.latent.discrete else None

    def compute(self, run: Evaluation) -> dict[str, float]:
        train = run.on("train")
        inputs, tests = train.means, run.means
        if inputs is None or tests is None or not (np.isfinite(inputs).all() and np.isfinite(tests).all()):
            return {}
        labels, expected = (each.source.conditions(np.arange(len(each.source))) for each in (train, run))
        if len(np.unique(labels)) < 2:
            run.note("the training examples have one label only")
            return {}
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)).fit(inputs, labels)
        return {"linear_probe": float(np.mean(probe.predict(tests) == expected))}
