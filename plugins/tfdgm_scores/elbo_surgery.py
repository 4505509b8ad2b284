"""The ELBO and its parts."""

from collections.abc import Mapping
from typing import ClassVar

from tfdgm import Evaluation, Quantity, Score

_DRAWS = "min(num_samples, ceil(100,000 / n)) draws of z per example"


class ELBOSurgery(Score):
    """ELBO = reconstruction - mutual information - marginal KL (Hoffman and Johnson 2016), all from the same draws.

    At validations: ELBO, reconstruction and rate from one draw of z per example.
    """

    rank = 10
    in_validation = True
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "elbo": Quantity("nats per example", "E_q[log p(x|z)] - KL(q(z|x) || p(z))", "larger", _DRAWS, main=True),
        "reconstruction": Quantity("nats per example", "E_q[log p(x|z)]", samples=_DRAWS),
        "rate": Quantity("nats per example", "KL(q(z|x) || p(z))", samples=_DRAWS, main=True),
        "mutual_information": Quantity(
            "nats per example", "E_q[log q(z|x) - log q_agg(z)], at most log n", samples=_DRAWS
        ),
        "marginal_kl": Quantity("nats per example", "KL(q_agg(z) || p(z))", samples=_DRAWS),
    }

    def obstacle(self, run: Evaluation) -> str | None:
        return None if run.built.model.posterior else "the model has no posterior"

    def compute(self, run: Evaluation) -> Mapping[str, float]:
        model = run.built.model
        if model.condition is None or model.condition.categories is not None or not model.prior.conditional:
            return run.surgery
        run.note("mutual_information and marginal_kl are those of each y, which a condition vector does not repeat")
        return {key: value for key, value in run.surgery.items() if key not in ("mutual_information", "marginal_kl")}

    def validate(self, run: Evaluation) -> Mapping[str, float]:
        return run.one_draw_bound()
