"""Estimates of the critics on examples of any split."""

import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Source, evenly
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built

_EXAMPLES = 2_000


class CriticEstimates:
    """Estimates of every objective with a critic, on up to 2,000 examples spread evenly over a split.

    A name that an earlier objective uses is prefixed with the objective's name, as in `jsd_2/critic_slope`. Every call
    uses the same noise, so that two results differ only by the weights.
    """

    def __init__(self, built: Built, source: Source | None, purpose: str) -> None:
        self.built = built
        self.source = source
        self.seed = root_seed(built.experiment.seed, purpose)
        self._scalars = built.devices.map(self._estimates)

    def __call__(self) -> dict[str, float]:
        """Return the estimates by name, with the current weights; empty if there is no critic or no split."""
        if self.source is None or not any(
            objective.critic_steps for objective in self.built.experiment.objectives.values()
        ):
            return {}
        rows = self.source.gather(evenly(len(self.source), min(_EXAMPLES, len(self.source))))
        scalars = next(self._scalars([(tf.constant(rows), self.seed, self.built.state.step.read_value())]))
        return {name: float(scalar.numpy()) for name, scalar in scalars.items()}

    def _estimates(self, rows: tf.Tensor, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        context = Context(seed, step)
        x, context = self.built.model.observe(rows, context)
        forward = ForwardPass(self.built.model, x, context)
        found: dict[str, tf.Tensor] = {}
        for name, objective in self.built.experiment.objectives.items():
            if objective.critic_steps:
                estimates = objective.estimates(forward, forward.context)
                found |= {f"{name}/{key}" if key in found else key: scalar for key, scalar in estimates.items()}
        return found
