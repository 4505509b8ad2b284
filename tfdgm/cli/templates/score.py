"""A score for tfdgm."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from tfdgm import Evaluation, Quantity, Score


class ExampleScore(Score):
    """How far the mean of the samples is from the mean of the data, as a root mean square over the values of x.

    Args:
      validate: whether it is computed at each validation as well.
    """

    plugin_api = 2
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "NAME": Quantity(
            "units of x",
            "||mean of samples - mean of examples|| / d^(1/2)",
            better="smaller",
            samples="generation_samples of each",
            bias="too large; falls as n^(-1/2)",
            main=True,
        )
    }

    def __init__(self, *, validate: bool = True) -> None:
        self.in_validation = validate

    def obstacle(self, run: Evaluation) -> str | None:
        return run.comparison.problem

    def compute(self, run: Evaluation) -> dict[str, float]:
        examples, generated = run.comparison.flat()  # [n, d] each
        return {"NAME": float(np.sqrt(np.mean((generated.mean(axis=0) - examples.mean(axis=0)) ** 2)))}
