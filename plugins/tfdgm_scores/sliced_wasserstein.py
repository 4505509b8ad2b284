"""The sliced Wasserstein distance between samples and examples."""

from collections.abc import Mapping
from typing import ClassVar

from tfdgm import Evaluation, Quantity, Score, sliced_wasserstein


class SlicedWasserstein(Score):
    """The mean W1 between projections of samples and examples in x on 1,000 lines (Bonneel et al. 2015)."""

    rank = 110
    note_key = "generation_note"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "sliced_wasserstein": Quantity(
            "units of x",
            "E_u W1(<u, x>, <u, y>), u uniform on the sphere",
            "smaller",
            "generation_samples of each",
            "too large; falls as n^(-1/2)",
        )
    }

    def obstacle(self, run: Evaluation) -> str | None:
        return run.comparison.problem

    def compute(self, run: Evaluation) -> dict[str, float]:
        return {"sliced_wasserstein": sliced_wasserstein(*run.comparison.flat())}
