"""A training run: loops of compiled steps, and between them metrics, checkpoints, pictures and signals."""

import dataclasses
import math
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfdgm.errors import NonFiniteError, UserError
from tfdgm.evaluation.validation import Validation
from tfdgm.numerics.randomness import root_seed
from tfdgm.numerics.seeds import Seed, SeedPlan
from tfdgm.parallel.devices import Draw
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.experiment import Built
from tfdgm.runs.same_run import check_config
from tfdgm.system.signals import signals_noted
from tfdgm.training.batches import Batches, Spans, stream
from tfdgm.training.best import Best
from tfdgm.training.diagnosis import first_non_finite
from tfdgm.training.loop import OF_LAST_STEP, Loop
from tfdgm.training.metrics import MetricsLog
from tfdgm.training.progress import Progress
from tfdgm.training.step import training_step


@dataclasses.dataclass(frozen=True)
class TrainingResult:
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
      config: the configuration of the run, which every checkpoint then holds.
    """

    def __init__(self, built: Built, workdir: Path, say: Callable[[str], None], config: str | None = None) -> None:
        self.built = built
        self.config = config
        self.say = say
        self.experiment = built.experiment
        self.checkpoints = Checkpoints(workdir / "checkpoints", self.experiment.keep_checkpoints, say)
        self.shards = self.experiment.shards or built.devices.num_replicas
        self.metrics = MetricsLog(workdir)
        self._went_back_to = -1
        self.draws_per_step = sum(player.moves for player in built.players)
        source, self.devices = self.experiment.train, built.devices
        self.batches = Batches(len(source), self.experiment.batch_size, self.experiment.seed)
        self.seed = root_seed(self.experiment.seed, "training")
        if self.experiment.resident:
            self.devices.hold(source.gather(np.arange(len(source))))
        plan = SeedPlan(self.seed.numpy())
        self.loop = Loop(self._step, built.state.step, plan, self.draws_per_step, self.devices.one_program)

    def _step(self, draws: list[Draw], number: tf.Tensor, seed: Seed, last: tf.Tensor) -> dict[str, tf.Tensor]:
        return training_step(
            self.built.model,
            self.built.players,
            draws,
            number,
            devices=self.devices,
            seed=seed,
            shards=self.shards,
            clip_norm=self.experiment.clip_norm,
            norms=last,
        )

    def restore(self) -> int:
        """Goes to the newest sound checkpoint, or stays at step 0 where there is none; returns the step.

        Raises:
          UserError: the shards of the run cannot be shared evenly by these devices, or the checkpoint is of another
            configuration.
        """
        checkpoint = self._newest()
        if checkpoint is not None and checkpoint.shards != self.shards:
            self.shards = checkpoint.shards
            self.say(f"{self.shards} shard(s), with which the run began")
        check_shards(self.shards, self.experiment.batch_size, self.devices.num_replicas)
        if checkpoint is None:
            return 0
        check_config(checkpoint, self.config)
        self.built.state.assign(checkpoint.tensors)
        return checkpoint.step

    def _newest(self) -> Checkpoint | None:
        """The same on every worker: the chief finds it, and the others read that one."""
        checkpoint = None
        if self.devices.is_chief:
            self.checkpoints.wait()
            self.checkpoints.clean()
            checkpoint = self.checkpoints.latest()
        found = -1 if checkpoint is None else checkpoint.step
        step = int(self.devices.agreed([found if self.devices.is_chief else 0.0])[0])
        if step < 0 or self.devices.is_chief:
            return checkpoint
        return self.checkpoints.at(step)

    def train(self) -> TrainingResult:
        """Makes the steps that are left.

        Raises:
          NonFiniteError: a loss or a weight became NaN or infinite, more often than `experiment.recoveries`; names the
            first tensor. The last good checkpoint stays.
        """
        start = self.restore()
        validation = Validation(self.built)
        best = Best(self.experiment.keep_best, self.experiment.best_is, self.checkpoints)
        if best.metric is not None:
            best.check(validation())
        if start == 0:
            self.save(self._checkpoint(0))
        if self.devices.is_chief:
            self.metrics.cut_after(start)
        with signals_noted() as received, Progress(start, self.experiment.steps, self.say) as progress:
            while True:
                try:
                    outcome = self._run(start, received, progress, validation, best)
                    break
                except NonFiniteError as error:
                    start = self._go_back(error)
        self.checkpoints.wait()
        self.metrics.close()
        return outcome

    def _run(
        self, start: int, received: list[int], progress: Progress, validation: Validation, best: Best
    ) -> TrainingResult:
        """The loops from step `start` on, until the end or a signal."""
        experiment, chief = self.experiment, self.devices.is_chief
        saved_at, step, stop_at = time.monotonic(), start, math.inf
        rates: list[float] = []
        stopped: int | None = None
        for first, count, arguments in self._blocks(start):
            began = time.perf_counter()
            metrics = self.loop(count, *arguments)
            seconds = time.perf_counter() - began
            if not all(math.isfinite(value) for name, value in metrics.items() if _must_be_finite(name)):
                raise self.diagnose(first, count)
            step = first + count
            if first > start:
                rates.append(count / seconds)
            metrics["steps_per_second"] = count / seconds
            if step % experiment.validate_every < count or step == experiment.steps:
                metrics |= validation()
            if chief:  # before the checkpoint: a line past it is cut when the run goes on, one that lacks stays away
                self.metrics.write(step, metrics)
            progress.update(step, metrics)
            if received:
                stop_at = min(stop_at, time.monotonic() + experiment.grace_seconds)
            due = chief and time.monotonic() - saved_at >= experiment.checkpoint_seconds
            stop, save = (vote > 0 for vote in self.devices.agreed([time.monotonic() >= stop_at, due]))
            if stop:
                stopped = received[0] if received else signal.SIGTERM  # another worker's
            better = best.improved(metrics)
            if stop or save or better is not None or step == experiment.steps:
                values = self.built.state.read()
                if not all(np.all(np.isfinite(value)) for value in values.values()):
                    raise self.diagnose(first, count)
                self.save(Checkpoint(step, values, self.shards, better, self.config))
                saved_at = time.monotonic()
            if stop:
                break
        return TrainingResult(step, stopped, float(np.median(rates)) if rates else 0.0)

    def _checkpoint(self, step: int) -> Checkpoint:
        return Checkpoint(step, self.built.state.read(), self.shards, config=self.config)

    def save(self, checkpoint: Checkpoint) -> None:
        """Hands it to the thread that writes; a full or read-only disk ends the run with the reason."""
        if self.devices.is_chief:
            self.metrics.sync()
            self.checkpoints.save_later(checkpoint)

    def _go_back(self, error: NonFiniteError) -> int:
        """To the newest sound checkpoint, with half the learning rates; raises the error if that was tried enough.

        Where that gave no newer one, it is dropped for the one before it.
        """
        variable, allowed = self.built.state.learning_rate_scale, self.experiment.recoveries
        if variable is None:
            raise error
        scale = float(variable.numpy())
        if scale <= 0.5**allowed:
            raise NonFiniteError(f"{error}; the learning rates were halved {allowed} time(s) before") from None
        step = self.restore()
        if step == self._went_back_to:  # it was too late already
            if self.devices.is_chief:
                self.checkpoints.drop_newest()
            step = self.restore()
        self._went_back_to = step
        variable.assign(scale / 2)  # the checkpoint may be of before the last halving
        self.say(f"{error}; going on from step {step} with {scale / 2:g} of the learning rates")
        self.save(self._checkpoint(step))
        if self.devices.is_chief:
            self.metrics.cut_after(step)
        return step

    def diagnose(self, first: int, count: int) -> NonFiniteError:
        """Replays from the last good checkpoint to name the first tensor that is not finite."""
        self.say(f"a metric or weight became non-finite between steps {first} and {first + count}; replaying")
        return first_non_finite(self, first, count)

    def _blocks(self, start: int) -> Iterator[tuple[int, int, tuple[tf.Tensor, ...]]]:
        """(first step, number of steps, the loop's arguments), from `start` to the end.

        Loops end at multiples of `steps_per_loop` wherever the run was interrupted, so that a resumed run executes the
        same programs as an uninterrupted one.
        """
        spans = Spans(start, self.experiment.steps, self.experiment.steps_per_loop)
        if self.experiment.resident:
            for first, count in spans:
                yield first, count, (tf.constant(self.positions(first, count)),)
            return
        shape = self.experiment.train.shape
        share = self.devices.share(self.experiment.batch_size)
        rows_and_positions = stream(self.experiment.train, self.batches, spans.times(self.draws_per_step), share)
        for (first, count), (rows, positions) in zip(spans, rows_and_positions, strict=True):
            number = count * self.draws_per_step
            positions = tf.ensure_shape(positions, (number, self.experiment.batch_size))
            yield first, count, (positions, tf.ensure_shape(rows, (number, share.stop - share.start, *shape)))

    def positions(self, first: int, count: int) -> np.ndarray:
        """Positions of the draws of steps `first` to `first + count`."""
        return self.batches.draws(first * self.draws_per_step, count * self.draws_per_step)


def _must_be_finite(metric: str) -> bool:
    """Whether training fails where a metric is not finite: losses and gradients. Others are only looked at."""
    return metric.rpartition("/")[2] in ("loss", OF_LAST_STEP)


def check_shards(shards: int, batch_size: int, replicas: int) -> None:
    """Raises: UserError: the batch is not divided by the shards, or the shards by the devices."""
    if shards % replicas:
        raise UserError(
            f"a run of {shards} shard(s) cannot be shared evenly by {replicas} devices; use a number that divides it "
            "(experiment.shards is fixed when a run begins)"
        )
    if batch_size % shards:
        raise UserError(
            f"experiment.batch_size {batch_size} is not divisible by {shards} shards, one for each device; "
            "set experiment.shards or another batch size"
        )
