"""The ELBO from one draw of z per example, as training estimates it."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Source
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import fold, root_seed
from tfdgm.runs.experiment import Built


def chunks(source: Source, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, positions) of a split in order, `size` at a time; the last chunk may be smaller."""
    for start in range(0, len(source), size):
        positions = np.arange(start, min(start + size, len(source)))
        yield source.gather(positions), positions


class OneDrawBound:
    """ELBO, reconstruction and rate of a split in nats per example, with the rate's closed form where there is one.

    Every call uses the same noise, so that two results differ only by the weights.
    """

    def __init__(self, built: Built, source: Source) -> None:
        self.built = built
        self.source = source
        self.seed = root_seed(built.experiment.seed, "validation")
        self._sums = built.devices.map(self._chunk_sums)

    def __call__(self) -> dict[str, float]:
        """Return `elbo`, `reconstruction` and `rate` with the current weights."""
        step = self.built.state.step.read_value()
        calls = ((tf.constant(rows), fold(self.seed, n), step) for n, (rows, _) in enumerate(chunks(self.source, 500)))
        reconstruction, rate = sum(sums.numpy() for sums in self._sums(calls)) / len(self.source)
        return {"elbo": reconstruction - rate, "reconstruction": reconstruction, "rate": rate}

    def _chunk_sums(self, rows: tf.Tensor, seed: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        x, context = self.built.model.observe(rows, Context(seed, step))
        forward = ForwardPass(self.built.model, x, context)
        return tf.stack([tf.reduce_sum(forward.reconstruction), tf.reduce_sum(forward.rate)])
