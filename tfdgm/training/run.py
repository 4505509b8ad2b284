"""A training run: loops of compiled steps, and between them metrics, checkpoints, pictures and signals."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.errors import NonFiniteError, UserError
from tfdgm.evaluation.validation import Validation
from tfdgm.experiment import Built
from tfdgm.randomness import root_seed
from tfdgm.signals import signals_noted
from tfdgm.training.batches import Batches, stream
from tfdgm.training.checkpoints import Checkpoints
from tfdgm.training.diagnosis import first_non_finite
from tfdgm.training.loop import Loop
from tfdgm.training.metrics import MetricsLog
from tfdgm.training.progress import Progress
from tfdgm.training.step import training_step


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
      step: the last step made, for which there is a checkpoint.
      signal: the signal that stopped it, or None where all steps were made.
      steps_per_second: in this process, compilation left out; 0 where no second loop was needed.
    """

    step: int
    signal: int | None
    steps_per_second: float


class Trainer:
    """Trains a built experiment in a workdir.

    Args:
      built: the experiment with its variables.
      workdir: where checkpoints, metrics and events go.
      say: prints one line to the user.
    """

    def __init__(self, built: Built, workdir: Path, say: Callable[[str], None]) -> None:
        self.built = built
        self.say = say
        self.experiment = built.experiment
        self.checkpoints = Checkpoints(workdir / "checkpoints", self.experiment.keep_checkpoints, say)
        self.metrics = MetricsLog(workdir)
        self.draws_per_step = sum(player.moves for player in built.players)
        source = self.experiment.train
        self.batches = Batches(len(source), self.experiment.batch_size, self.experiment.seed)
        # A tensor, not a number: the compiled loop then takes it as an argument and is the same for every seed.
        self.seed = root_seed(self.experiment.seed, "training")
        self.resident = None
        if self.experiment.resident:
            self.resident = tf.constant(source.gather(np.arange(len(source))))
        self.loop = Loop(self._step, built.state.step, self.draws_per_step, self.resident)

    def _step(self, draws: list[Any], number: tf.Tensor, probe: Any = None) -> dict[str, tf.Tensor]:
        return training_step(
            self.built.model,
            self.built.players,
            draws,
            number,
            seed=self.seed,
            shards=self.experiment.shards,
            clip_norm=self.experiment.clip_norm,
            probe=probe,
        )

    def restore(self) -> int:
        """Goes to the newest sound checkpoint, or stays at step 0 where there is none; returns the step."""
        self.checkpoints.clean()
        checkpoint = self.checkpoints.latest()
        if checkpoint is None:
            return 0
        self.built.state.assign(checkpoint.tensors)
        return checkpoint.step

    def train(self) -> Outcome:
        """Makes the steps that are left.

        Raises:
          NonFiniteError: a loss or a weight became NaN or infinite; names the first tensor. The last good checkpoint
            stays.
        """
        start = self.restore()
        self.metrics.cut_after(start)
        validation = Validation(self.built)
        if start == 0:
            self.save(0)
        saved_at, step = time.monotonic(), start
        rates: list[float] = []
        stopped: int | None = None
        with signals_noted() as received, Progress(start, self.experiment.steps, self.say) as progress:
            for first, count, arguments in self._blocks(start):
                began = time.perf_counter()
                metrics = self.loop(count, *arguments)
                seconds = time.perf_counter() - began
                if not np.all(np.isfinite(list(metrics.values()))):
                    raise self.diagnose(first, count)
                step = first + count
                if first > start:
                    rates.append(count / seconds)
                metrics["steps_per_second"] = count / seconds
                if step % self.experiment.validate_every < count or step == self.experiment.steps:
                    metrics |= validation()
                self.metrics.write(step, metrics)
                progress.update(step, metrics)
                if received:
                    stopped = received[0]
                done = stopped is not None or step == self.experiment.steps
                if done or time.monotonic() - saved_at >= self.experiment.checkpoint_seconds:
                    self.save(step, diagnose_from=(first, count))
                    saved_at = time.monotonic()
                if stopped is not None:
                    break
        self.metrics.close()
        return Outcome(step, stopped, float(np.median(rates)) if rates else 0.0)

    def save(self, step: int, diagnose_from: tuple[int, int] | None = None) -> None:
        """Writes a checkpoint; a full or read-only disk keeps the old ones and ends the run with the reason."""
        try:
            self.checkpoints.save(step, self.built.state.read())
        except NonFiniteError:
            if diagnose_from is None:
                raise
            raise self.diagnose(*diagnose_from) from None
        except OSError as error:
            good = self.checkpoints.steps()
            kept = f"the checkpoint of step {good[-1]} is kept" if good else "there is no earlier one"
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.checkpoints.directory}: "
                f"{error.strerror or error}; {kept}"
            ) from None

    def diagnose(self, first: int, count: int) -> NonFiniteError:
        """Replays from the last good checkpoint to name the first tensor that is not finite."""
        self.say(f"a metric or weight became non-finite between steps {first} and {first + count}; replaying")
        return first_non_finite(self, first, count)

    def _blocks(self, start: int) -> Iterator[tuple[int, int, tuple[tf.Tensor, ...]]]:
        """(first step, number of steps, the loop's arguments), from `start` to the end.

        Loops end at multiples of `steps_per_loop` wherever the run was interrupted, so that a resumed run executes the
        same programs as an uninterrupted one.
        """
        every, end = self.experiment.steps_per_loop, self.experiment.steps
        edges = [start, *range((start // every + 1) * every, end, every), end] if start < end else []
        spans = [(first, last - first) for first, last in itertools.pairwise(edges)]
        if self.resident is not None:
            for first, count in spans:
                yield first, count, (tf.constant(self.positions(first, count)),)
            return
        draws = [(first * self.draws_per_step, count * self.draws_per_step) for first, count in spans]
        shape = self.experiment.train.shape
        for (first, count), (rows, positions) in zip(
            spans, stream(self.experiment.train, self.batches, draws), strict=True
        ):
            size = (count * self.draws_per_step, self.experiment.batch_size)
            yield first, count, (tf.ensure_shape(positions, size), tf.ensure_shape(rows, (*size, *shape)))

    def positions(self, first: int, count: int) -> np.ndarray:
        """Positions of the draws of steps `first` to `first + count`."""
        return self.batches.draws(first * self.draws_per_step, count * self.draws_per_step)
