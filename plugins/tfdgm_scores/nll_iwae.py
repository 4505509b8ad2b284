"""The importance-weighted bound."""

from collections.abc import Mapping
from typing import ClassVar

from tfdgm import Evaluation, Quantity, Score


class ImportanceWeightedNLL(Score):
    """-(1/n) sum_i log (1/S) sum_s p(x_i|z_s) p(z_s) / q(z_s|x_i), z_s ~ q(z|x_i) (Burda et al. 2016, equation 8)."""

    rank = 20
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "nll_iwae": Quantity(
            "nats per example",
            "-E[log (1/S) sum_s p(x|z_s) p(z_s) / q(z_s|x)]",
            "smaller",
            samples="S = nll_iwae_samples draws of z per example",
            bias="at least -log p(x) in expectation; the excess falls as 1/S",
            main=True,
        ),
        "nll_iwae_samples": Quantity("", "S: num_samples, or 1 if q(z|x) is a point mass", count=True),
    }

    def obstacle(self, run: Evaluation) -> str | None:
        return None if run.built.model.posterior else "the model has no posterior"

    def compute(self, run: Evaluation) -> dict[str, float]:
        return {
            "nll_iwae": run.draws.importance_weighted_nll(run.num_samples),
            "nll_iwae_samples": run.num_samples,
        }
