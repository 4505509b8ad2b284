"""The batches of a run, in blocks for the compiled loop."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfdgm.parallel.devices import Devices
from tfdgm.runs.experiment import Experiment
from tfdgm.training.batches import Batches, Spans, stream


class Feed:
    """Provides the steps of every loop and their batches.

    Loops end at multiples of `experiment.steps_per_loop` regardless of interruptions, so that a resumed run executes
    the same programs as an uninterrupted one.

    Args:
      experiment: determines the training split, the batch size and the number of steps.
      devices: keep the training data, or get their share of every batch.
      draws_per_step: number of batches in one step.
    """

    def __init__(self, experiment: Experiment, devices: Devices, draws_per_step: int) -> None:
        self.experiment = experiment
        self.devices = devices
        self.draws_per_step = draws_per_step
        self.source = experiment.train
        self.batches = Batches(len(self.source), experiment.batch_size, experiment.seed)
        if experiment.resident:
            devices.hold(self.source.gather(np.arange(len(self.source))))

    def blocks(self, start: int) -> Iterator[tuple[int, int, tuple[tf.Tensor, ...]]]:
        """Yield (first step, number of steps, arguments of the loop), from `start` to the last step."""
        spans = Spans(start, self.experiment.steps, self.experiment.steps_per_loop)
        if self.experiment.resident:
            for first, count in spans:
                yield first, count, (tf.constant(self.positions(first, count)),)
            return
        share = self.devices.share(self.experiment.batch_size)
        streamed = stream(self.source, self.batches, spans.times(self.draws_per_step), share)
        for (first, count), (rows, positions) in zip(spans, streamed, strict=True):
            number = count * self.draws_per_step
            positions = tf.ensure_shape(positions, (number, self.experiment.batch_size))
            rows = tf.ensure_shape(rows, (number, share.stop - share.start, *self.source.shape))
            yield first, count, (positions, rows)

    def positions(self, first: int, count: int) -> np.ndarray:
        """Return the positions of the draws of steps `first` to `first + count`, int32 `[draws, batch]`."""
        return self.batches.draws(first * self.draws_per_step, count * self.draws_per_step)

    def step(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions `[draws, batch]` and the rows `[draws, batch, *shape]` of one step."""
        positions = self.positions(number, 1)
        rows = self.source.gather(positions.reshape(-1))
        return positions, rows.reshape(*positions.shape, *rows.shape[1:])
