"""Train: run the compiled loop, call the callbacks, and write checkpoints."""

import dataclasses
import json
import math
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.callback import Callback
from tfdgm.errors import NonFiniteError, UserError
from tfdgm.numerics.randomness import root_seed
from tfdgm.numerics.seeds import Seed, SeedPlan
from tfdgm.parallel.devices import Draw, check_shards
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.data_identity import DataIdentity, check_agreement, check_data
from tfdgm.runs.experiment import Built
from tfdgm.runs.extension import extended_tensors
from tfdgm.runs.initial_weights import InitialWeights, take_initial_weights
from tfdgm.runs.same_run import check_config, of_config
from tfdgm.system.signals import signals_recorded
from tfdgm.training.callbacks.best_checkpoint import BestCheckpoint
from tfdgm.training.callbacks.interruption import Interruption
from tfdgm.training.callbacks.json_lines import JsonLines
from tfdgm.training.callbacks.periodic_checkpoints import PeriodicCheckpoints
from tfdgm.training.callbacks.progress_bar import ProgressBar
from tfdgm.training.callbacks.tensorboard import TensorBoard
from tfdgm.training.callbacks.validation_scores import ValidationScores
from tfdgm.training.diagnosis import first_non_finite
from tfdgm.training.feed import Feed
from tfdgm.training.loop import OF_LAST_STEP, Loop
from tfdgm.training.recovery import Recovery
from tfdgm.training.step import training_step


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes:
      step: the last step, of which there is a checkpoint.
      signal: the signal that stopped it, or None.
      steps_per_second: median over this process's loops except the first, which compiles; 0 if there was only one.
      reason: the reason for which a callback stopped it, or None.
      steps_made: number of steps that this process made.
    """

    step: int
    signal: int | None
    steps_per_second: float
    reason: str | None = None
    steps_made: int = 0


class Trainer:
    """Trains a built experiment in a workdir.

    Args:
      built: the experiment with its variables.
      workdir: folder for checkpoints, metrics and events.
      say: prints one line to the user.
      config: the configuration of the run, which is stored in every checkpoint.
      callbacks: callbacks in addition to `experiment.callbacks` and to those of every training.
      extending: whether the run may continue under other further steps; see `tfdgm.runs.same_run.differences`.
      other_data: whether the data may differ from that of the checkpoint.
      progress: shows the progress; a `ProgressBar` by default.

    Attributes:
      step: number of steps taken.
      initial: the weights that a new run took from another, or None.
      data_changes: in what the data differs from that of the checkpoint.
      loop: the compiled loop, from a number of steps and their batches to mean metrics.
      feed: the batches of the run.
      checkpoints: the checkpoints of the run.
    """

    def __init__(
        self,
        built: Built,
        workdir: Path,
        say: Callable[[str], None],
        config: str | None = None,
        callbacks: Sequence[Callback] = (),
        extending: bool = False,
        other_data: bool = False,
        progress: Callback | None = None,
    ) -> None:
        self.built = built
        self.workdir = workdir
        self.say = say
        self.config = config
        self.experiment = built.experiment
        self.devices = built.devices
        self.checkpoints = Checkpoints(workdir / "checkpoints", self.experiment.keep_checkpoints, say)
        self.shards = self.experiment.shards or self.devices.num_replicas
        self.seed = root_seed(self.experiment.seed, "training")
        draws_per_step = sum(player.updates for player in built.players)
        self.feed = Feed(self.experiment, self.devices, draws_per_step)
        self.loop = Loop(
            self._step, built.state.step, SeedPlan(self.seed.numpy()), draws_per_step, self.devices.one_program
        )
        self.recovery = Recovery(self.experiment.recoveries)
        self.added = [*self.experiment.callbacks, *callbacks]
        self.progress = ProgressBar(self.experiment.steps) if progress is None else progress
        self.callbacks: list[Callback] = []
        self._started: list[Callback] = []
        self.step = 0
        self.extending, self.other_data = extending, other_data
        self.initial: InitialWeights | None = None
        self.data_changes: list[str] = []
        self._restored: Mapping[str, Any] = {}
        self._prepared: int | None = None
        self._is_new, self._outdated = True, False

    @cached_property
    def data(self) -> DataIdentity:
        """What checkpoints record about the data."""
        return self.experiment.data_identity()

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

    def train(self) -> TrainingResult:
        """Take the remaining steps.

        Raises:
          NonFiniteError: a loss or a weight became NaN or infinite, and `experiment.recoveries` are used up; the
            message names the first such tensor. The last good checkpoint is kept.
        """
        began_at, self._prepared = self.prepare(), None  # another training of this object restores again
        with signals_recorded() as received:
            self._install(received)
            try:
                self._start()
                if began_at == 0 or self._outdated or (began_at < self.experiment.steps and self._lacks_states()):
                    self._write(None)
                result = self._run(received)
                self.checkpoints.wait()
            except BaseException:
                self._end(raising=False)
                raise
            self._end(raising=True)
        # A signal may have come after the last loop's end, or training may have ended within the grace period.
        signalled = self.devices.all_reduce_sum([float(bool(received))])[0] > 0
        if signalled and result.signal is None:
            result = dataclasses.replace(result, signal=received[0] if received else signal.SIGTERM, reason=None)
        return dataclasses.replace(result, steps_made=result.step - began_at)

    def _install(self, received: list[int]) -> None:
        """Create the list of callbacks, in the order in which they are called."""
        experiment = self.experiment
        everyone: list[Callback] = [
            ValidationScores(self.built),
            *self.added,
            JsonLines(),
            TensorBoard(self.config),
            self.progress,
            Interruption(received, experiment.grace_seconds),
            PeriodicCheckpoints(experiment.checkpoint_seconds),
        ]
        if experiment.keep_best is not None:
            everyone.append(BestCheckpoint(experiment.keep_best, experiment.best_is, self.checkpoints))
        self.callbacks, self._started = everyone, []

    def _active(self) -> list[Callback]:
        """Return the callbacks that this worker calls."""
        return [callback for callback in self.callbacks if callback.everywhere or self.devices.is_chief]

    def _call(self, event: str, *arguments: Any) -> None:
        for callback in self._active():
            getattr(callback, event)(*arguments)

    def _end(self, raising: bool) -> None:
        """Call `on_end` of every callback that was started, whatever the others raise.

        Args:
          raising: whether to raise their first error afterwards; without it, errors give way to one that is pending.
        """
        errors: list[Exception] = []
        for callback in self._started:
            try:
                callback.on_end(self.step)
            except Exception as error:
                errors.append(error)
        if errors and raising:
            raise errors[0]

    def _start(self) -> None:
        """Restore the callbacks' state from the checkpoint, and call `on_start`."""
        self._stop: tuple[str, int | None] | None = None
        self._save = False
        self._score: float | None = None
        for name, callback in self._named():
            if name in self._restored:
                callback.restore(self._restored[name])
        for callback in self._active():
            if callback not in self._started:
                self._started.append(callback)
            callback.on_start(self)

    def _named(self) -> list[tuple[str, Callback]]:
        """Return the callbacks with the names of their state in a checkpoint."""
        seen: Counter[str] = Counter()
        named = []
        for callback in self.callbacks:
            first = callback.state_name(0)
            named.append((callback.state_name(seen[first]), callback))
            seen[first] += 1
        return named

    def _lacks_states(self) -> bool:
        """Return whether the restored checkpoint lacks the state of a callback that keeps one."""
        return any(_keeps_state(callback) and name not in self._restored for name, callback in self._named())

    def _run(self, received: list[int]) -> TrainingResult:
        """Run loops until the last step or a stop; recover from a loop that becomes non-finite."""
        rates: list[float] = []
        while True:
            try:
                return self._loops(received, rates)
            except NonFiniteError as error:
                self.recovery.recover(self, error)
                self._start()  # before the checkpoint, which holds the callbacks' state
                self._write(None)

    def _loops(self, received: list[int], rates: list[float]) -> TrainingResult:
        """Run loops until the last step or a stop; append the speed of all but the first to `rates`."""
        stopped, signalled, _ = self._requests()
        start = self.step
        for first, count, arguments in () if stopped else self.feed.blocks(start):
            began = time.perf_counter()
            metrics = self.loop(count, *arguments)
            seconds = time.perf_counter() - began
            if not all(math.isfinite(value) for name, value in metrics.items() if _must_be_finite(name)):
                raise self.diagnose(first, count)
            self.step = first + count
            if first > start:
                rates.append(count / seconds)
            metrics["steps_per_second"] = count / seconds
            self._metrics, self._scores = metrics, dict[str, float]()
            self._call("on_loop_end", self.step, metrics)
            if self._scores:
                self._call("on_validation", self.step, self._scores)
            stopped, signalled, save = self._requests()
            if stopped or save or self.step == self.experiment.steps:
                values = self.built.state.read()
                if not all(np.all(np.isfinite(value)) for value in values.values()):
                    raise self.diagnose(first, count)
                self._write(values)
            if stopped:
                break
        number = (received[0] if received else signal.SIGTERM) if signalled else None  # or a signal to another worker
        reason = self._stop[0] if self._stop and not signalled else None
        return TrainingResult(self.step, number, float(np.median(rates)) if rates else 0.0, reason)

    def _requests(self) -> tuple[bool, bool, bool]:
        """Return whether any worker requests a stop, whether due to a signal, and whether any requests a checkpoint."""
        requests = [self._stop is not None, self._stop is not None and self._stop[1] is not None, self._save]
        stopped, signalled, save = (total > 0 for total in self.devices.all_reduce_sum(requests))
        return stopped, signalled, save

    def report(self, scores: Mapping[str, float]) -> None:
        """Add validation scores to the metrics of the current loop."""
        self._metrics.update(scores)
        self._scores.update(scores)

    def stop(self, reason: str, signal: int | None = None) -> None:
        """End the training after this loop; a signal takes precedence over other reasons."""
        if self._stop is None or signal is not None:
            self._stop = (reason, signal)

    def save(self, score: float | None = None) -> None:
        """Write a checkpoint after this loop; if given a score, also as the best one."""
        self._save = True
        self._score = self._score if score is None else score

    def prepare(self) -> int:
        """Restore the newest checkpoint, or give a new run its initial weights; return the step.

        Further calls before the training change nothing.

        Raises:
          UserError: see `restore`; or the initial weights do not fit.
        """
        if self._prepared is None:
            check_agreement(self.data, self.devices)
            self._prepared = self.restore()
            if self._is_new and self.experiment.initial is not None:
                parts = self.experiment.initial_parts
                self.initial = take_initial_weights(self.built.state, self.experiment.initial, parts)
        return self._prepared

    def restore(self) -> int:
        """Restore the newest intact checkpoint, if there is one, and return its step, else 0.

        Raises:
          UserError: these devices cannot share the shards of the run evenly, the checkpoint belongs to another
            configuration or other data, or it is beyond the last step.
        """
        checkpoint = self._newest()
        if checkpoint is not None and checkpoint.shards != self.shards:
            self.shards = checkpoint.shards
            self.say(f"using {self.shards} shard(s), as when the run began")
        check_shards(self.shards, self.experiment.batch_size, self.devices.num_replicas)
        self.step, self._is_new = 0, checkpoint is None
        if checkpoint is not None:
            check_config(checkpoint, self.config, self.extending)
            changes = check_data(checkpoint.data, self.data, self.other_data)
            tensors, extended = checkpoint.tensors, self.extending and not of_config(checkpoint, self.config)
            if extended:
                tensors = extended_tensors(self.built.state, checkpoint, self.experiment.steps)
            self.built.state.assign(tensors)
            self.step, self._restored = checkpoint.step, checkpoint.callbacks
            self.data_changes = self.data_changes or changes
            self._outdated = extended or bool(changes)
        return self.step

    def _newest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, which the chief finds and all workers read."""
        checkpoint = None
        if self.devices.is_chief:
            self.checkpoints.wait()
            self.checkpoints.clean()
            checkpoint = self.checkpoints.latest()
        found = -1 if checkpoint is None else checkpoint.step
        step = int(self.devices.all_reduce_sum([found if self.devices.is_chief else 0.0])[0])
        if step < 0 or self.devices.is_chief:
            return checkpoint
        return self.checkpoints.at(step)

    def _write(self, values: Mapping[str, np.ndarray] | None) -> None:
        """Pass a checkpoint to the writer's thread; a full or read-only disk ends the run with the reason."""
        score, self._save, self._score = self._score, False, None
        self._call("on_checkpoint", self.step)
        if not self.devices.is_chief:
            return
        states = {name: _plain(callback) for name, callback in self._named() if _keeps_state(callback)}
        values = self.built.state.read() if values is None else values
        self.checkpoints.save_later(Checkpoint(self.step, values, self.shards, score, self.config, states, self.data))

    def diagnose(self, first: int, count: int) -> NonFiniteError:
        """Replay from the last good checkpoint to name the first tensor that is not finite."""
        self.say(f"a metric or weight became non-finite between steps {first} and {first + count}; replaying them")
        return first_non_finite(
            self.built,
            self.feed,
            self.loop,
            seed=self.seed,
            shards=self.shards,
            restore=self.restore,
            kept_in=str(self.checkpoints.directory),
            first=first,
            count=count,
        )


def _keeps_state(callback: Callback) -> bool:
    return type(callback).state is not Callback.state


def _plain(callback: Callback) -> dict[str, Any]:
    """Return the state of a callback.

    Raises:
      UserError: JSON cannot represent it.
    """
    state = callback.state()
    try:
        json.dumps(state)
    except (TypeError, ValueError) as error:
        raise UserError(f"{callback.display_name()}: its state cannot be stored in a checkpoint: {error}") from None
    return state


def _must_be_finite(metric: str) -> bool:
    """Return whether training fails if a metric is not finite: losses and gradient norms."""
    return metric.rpartition("/")[2] in ("loss", OF_LAST_STEP)
