"""Estimates of the objectives on examples of any split."""

import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Source, evenly
from tfdgm.contracts.objective import Objective
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built

_EXAMPLES = 2_000


class ObjectiveEstimates:
    """Estimates of every objective that defines any, on up to 2,000 examples spread evenly over a split.

    A name that an earlier objective uses is prefixed with the objective's name, as in `jsd_2/critic_slope`. Every call
    uses the same noise, so that two results differ only by the weights.
    """

    def __init__(self, built: Built, source: Source | None, purpose: str) -> None:
        self.built = built
        self.source = source
        self.seed = root_seed(built.experiment.seed, purpose)
        self.objectives = {
            name: objective
            for name, objective in built.experiment.objectives.items()
            if type(objective).estimates is not Objective.estimates
        }
        self._scalars = built.devices.map(self._estimates)

    def __call__(self) -> dict[str, float]:
        """Return the estimates by name, with the current weights; empty if no objective defines any, or no split."""
        if self.source is None or not self.objectives:
            return {}
        rows = self.source.gather(evenly(len(self.source), min(_EXAMPLES, len(self.source))))
        scalars = next(self._scalars([(tf.constant(rows), self.seed, self.built.state.step.read_value())]))
        return {name: float(scalar.numpy()) for name, scalar in scalars.items()}

    def _estimates(self, rows: tf.Tensor, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        context = Context(seed, step)
        x, context = self.built.model.observe(rows, context)
        forward = ForwardPass(self.built.model, x, context)
        found: dict[str, tf.Tensor] = {}
        for name, objective in self.objectives.items():
            estimates = objective.estimates(forward, forward.context)
            found |= {f"{name}/{key}" if key in found else key: scalar for key, scalar in estimates.items()}
        return found
