"""The scores during training: the ELBO of the validation split, and the objectives' estimates on it."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Source
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import fold, root_seed
from tfdgm.runs.experiment import Built


def chunks(source: Source, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, positions) of a split in order, `size` at a time; the last chunk may be smaller."""
    for start in range(0, len(source), size):
        positions = np.arange(start, min(start + size, len(source)))
        yield source.gather(positions), positions


class Validation:
    """ELBO, reconstruction and rate of the validation split in nats per example, from one draw of z each, and estimates
    of the objectives.

    Every call uses the same noise, so that two results differ only by the weights.
    """

    def __init__(self, built: Built) -> None:
        self.built = built
        self.source = built.experiment.splits.get("validation")
        self.seed = root_seed(built.experiment.seed, "validation")
        self.estimates = ObjectiveEstimates(built, self.source, "validation critics")
        self._scores = built.devices.map(self._chunk_scores)

    def __call__(self) -> dict[str, float]:
        """Return the scores that apply; empty if there is no validation split."""
        if self.source is None:
            return {}
        with self.built.state.averaged():
            estimates = {f"validation_{name}": value for name, value in self.estimates().items()}
            return self._bound(self.source) | estimates

    def _bound(self, source: Source) -> dict[str, float]:
        if self.built.model.posterior is None:
            return {}
        step = self.built.state.step.read_value()
        calls = ((tf.constant(rows), fold(self.seed, n), step) for n, (rows, _) in enumerate(chunks(source, 500)))
        reconstruction, rate = sum(scores.numpy() for scores in self._scores(calls)) / len(source)
        return {
            "validation_elbo": reconstruction - rate,
            "validation_reconstruction": reconstruction,
            "validation_rate": rate,
        }

    def _chunk_scores(self, rows: tf.Tensor, seed: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        context = Context(seed, step)
        x, context = self.built.model.observe(rows, context)
        forward = ForwardPass(self.built.model, x, context)
        return tf.stack([tf.reduce_sum(forward.reconstruction), tf.reduce_sum(forward.rate)])
