"""Bits per dimension."""

import math
from collections.abc import Mapping
from typing import ClassVar

from tfdgm import Evaluation, Quantity, Score


class BitsPerDimension(Score):
    """-ELBO / (D log 2), for x of D grey levels or counts whose likelihood gives probabilities.

    An upper bound on the bits that a lossless code of one dimension of x takes. The number of levels is the data's: 8
    bits are the uniform distribution over 256 levels.
    """

    rank = 25
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "bits_per_dimension": Quantity(
            "bits per dimension", "-elbo / (D log 2), D the number of dimensions of x", "smaller"
        ),
    }

    def obstacle(self, run: Evaluation) -> str | None:
        model = run.built.model
        if model.posterior is None:
            return "the model has no posterior"
        if not model.likelihood.discrete or (model.data.spec.levels is None and not model.data.spec.counts):
            return "the likelihood is a density, or x is continuous"
        return None

    def compute(self, run: Evaluation) -> dict[str, float]:
        return {"bits_per_dimension": -run.surgery["elbo"] / (run.built.model.data.spec.size * math.log(2))}
