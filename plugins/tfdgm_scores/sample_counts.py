"""The numbers of samples that other scores compare."""

from collections.abc import Mapping
from typing import ClassVar

from tfdgm import Evaluation, Quantity, Score


class SampleCounts(Score):
    """How many samples are compared with as many examples; if some are not finite, how many are."""

    rank = 120
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "generation_samples": Quantity("", "number of samples that are compared with as many examples", count=True),
        "finite_samples": Quantity("", "number of finite draws, if some are not", count=True),
    }

    def compute(self, run: Evaluation) -> dict[str, float]:
        if run.comparison.problem is None:
            return {"generation_samples": len(run.comparison.generated)}
        return {"generation_samples": len(run.comparison.x), "finite_samples": run.comparison.finite}
