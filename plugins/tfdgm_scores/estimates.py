"""The objectives' estimates."""

from collections.abc import Mapping
from typing import Any

from tfdgm import Evaluation, Objective, Quantity, Score


class Estimates(Score):
    """What the objectives estimate on examples of the split: `Objective.estimates`.

    A name that an earlier objective uses is prefixed with the objective's name, as in `jsd_2/critic_slope`.
    """

    rank = 50
    in_validation = True

    def meaning(self, key: str, experiment: Any) -> Quantity:
        units = {name: unit for objective in experiment.objectives.values() for name, unit in objective.units.items()}
        return Quantity(units.get(key.rsplit("/", 1)[-1], "nats per example"), "an objective's estimate on unseen data")

    def obstacle(self, run: Evaluation) -> str | None:
        objectives = run.built.experiment.objectives.values()
        any_estimates = any(type(objective).estimates is not Objective.estimates for objective in objectives)
        return None if any_estimates else "no objective estimates anything"

    def compute(self, run: Evaluation) -> Mapping[str, float]:
        return run.estimates()
