"""The Wasserstein distance between samples and examples."""

from collections.abc import Mapping
from typing import ClassVar

from tfdgm import Evaluation, Quantity, Score, wasserstein


class ExactWasserstein(Score):
    """W1 between samples and examples in x, the optimum of a linear program.

    Args:
      samples: the largest number of each, since the time grows with its cube.
    """

    rank = 100
    note_key = "generation_note"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "wasserstein": Quantity(
            "units of x",
            "min over couplings P of sum_ij P_ij ||x_i - y_j||",
            "smaller",
            "wasserstein_samples of each",
            "too large; falls as n^(-1/d) for d > 2",
        ),
        "wasserstein_samples": Quantity("", "the number of samples, at most 1,000 by default", count=True),
    }

    def __init__(self, *, samples: int = 1_000) -> None:
        self.require(samples >= 1, f"samples must be at least 1, got {samples}")
        self.samples = samples

    def obstacle(self, run: Evaluation) -> str | None:
        return run.comparison.problem

    def compute(self, run: Evaluation) -> dict[str, float]:
        examples, generated = run.comparison.flat(self.samples)
        try:
            return {"wasserstein": wasserstein(examples, generated), "wasserstein_samples": len(generated)}
        except ArithmeticError as error:
            run.note(f"wasserstein does not apply: {error}")
            return {}
