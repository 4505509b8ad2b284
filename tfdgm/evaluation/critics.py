"""What the critics tell of examples that they were not trained on."""

import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Source, evenly
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built

_EXAMPLES = 2_000


class CriticEstimates:
    """Estimates of every objective with an adversary, on up to 2,000 examples spread evenly over a split.

    A name that an objective before has taken is prefixed with the objective's own, as in `jsd_2/critic_slope`. The
    samples of the model are the same at every call, so that two values differ by the weights alone.
    """

    def __init__(self, built: Built, source: Source | None, purpose: str) -> None:
        self.built = built
        self.source = source
        self.seed = root_seed(built.experiment.seed, purpose)
        self._scalars = built.devices.map(self._estimates)

    def __call__(self) -> dict[str, float]:
        """By name; empty where there is no adversary or no split. The weights are those at hand."""
        if self.source is None or not any(
            objective.critic_steps for objective in self.built.experiment.objectives.values()
        ):
            return {}
        rows = self.source.gather(evenly(len(self.source), min(_EXAMPLES, len(self.source))))
        scalars = next(self._scalars([(tf.constant(rows), self.built.state.step.read_value())]))
        return {name: float(scalar.numpy()) for name, scalar in scalars.items()}

    def _estimates(self, rows: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        context = Context(self.seed, step)
        x = self.built.model.data.observe(rows, context.within("observe"))
        forward = ForwardPass(self.built.model, x, context)
        found: dict[str, tf.Tensor] = {}
        for name, objective in self.built.experiment.objectives.items():
            if objective.critic_steps:
                mine = objective.estimates(forward, forward.context)
                found |= {f"{name}/{what}" if what in found else what: scalar for what, scalar in mine.items()}
        return found
