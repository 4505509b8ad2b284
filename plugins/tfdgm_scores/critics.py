"""The critics' estimates."""

from collections.abc import Mapping
from typing import Any

from tfdgm import Evaluation, Quantity, Score


class Critics(Score):
    """What every objective with a critic estimates on examples of the split: `Objective.estimates`.

    A name that an earlier objective uses is prefixed with the objective's name, as in `jsd_2/critic_slope`.
    """

    rank = 50
    in_validation = True

    def meaning(self, key: str, experiment: Any) -> Quantity:
        units = {name: unit for objective in experiment.objectives.values() for name, unit in objective.units.items()}
        return Quantity(units.get(key.rsplit("/", 1)[-1], "nats per example"), "an objective's estimate by its critic")

    def obstacle(self, run: Evaluation) -> str | None:
        objectives = run.built.experiment.objectives.values()
        return None if any(objective.critic_steps for objective in objectives) else "no objective has a critic"

    def compute(self, run: Evaluation) -> Mapping[str, float]:
        return run.critic_estimates()
