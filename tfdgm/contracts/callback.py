"""Callbacks: actions on the host between the compiled loops of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tfdgm.contracts.component import Component


class Training(Protocol):
    """The interface of a training to its callbacks.

    Attributes:
      built: the experiment with its variables, which a callback may read and must not assign.
      workdir: folder of the run.
      step: number of steps taken.
      callbacks: all callbacks of the training, in the order in which they are called.
    """

    built: Any
    workdir: Path
    step: int

    @property
    def callbacks(self) -> "Sequence[Callback]": ...

    def say(self, line: str) -> None:
        """Print one line to the user."""

    def report(self, scores: Mapping[str, float]) -> None:
        """Add validation scores to the current loop's metrics, and pass them to every callback's `on_validation`."""

    def stop(self, reason: str, signal: int | None = None) -> None:
        """End the training after this loop, with a checkpoint. One worker that calls it stops all workers."""

    def save(self, score: float | None = None) -> None:
        """Write a checkpoint after this loop; if given a score, also as the best one."""


class Callback(Component):
    """Observes a training. Every method is called on the host, and every method is optional.

    A callback must not change the results: it assigns no variable and draws from none of the run's random streams.
    `state` and `restore` keep its memory in checkpoints, so that a resumed run continues as an uninterrupted one.

    The events of a run of 200 steps with `steps_per_loop = 100` and `validate_every = 200`:

        on_start(training)                             # training.step == 0
        on_checkpoint(0)                               # the first checkpoint is written before the first loop
        on_loop_end(100, {"loss": 31.2, ...})          # means over steps 0 to 99
        on_loop_end(200, {"loss": 27.9, ...})
        on_validation(200, {"validation_elbo": -27.5, ...})
        on_checkpoint(200)
        on_end(200)
        on_scored(200, {"elbo": -27.4, ...})           # `tfdgm train` has scored the run and written its page

    Attributes:
      everywhere: whether every worker calls it; if False, only the chief does. A callback that computes with the model
        must be called everywhere, since several workers compute together, and so must one that reports scores which
        such a callback reads. The chief's `state` is stored, and every worker restores it.
      reads_score: name of a validation score that it reads, as in `metrics.jsonl`; a run without that score is refused
        before it begins.
      reports: names of the scores that it reports.
    """

    _results = {}  # noqa: RUF012

    everywhere: ClassVar[bool] = False
    reads_score: str | None = None
    reports: Sequence[str] = ()

    @classmethod
    def state_name(cls, number: int) -> str:
        """Return the name of the state of a training's `number`-th callback of this class in a checkpoint."""
        return f"{cls.__module__}.{cls.__qualname__}/{number}"

    def on_start(self, training: Training) -> None:
        """Called before the first step, from `training.step`, and again after a recovery from a checkpoint."""

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Called when a loop ended at `step`, with its mean metrics and the scores reported so far."""

    def on_validation(self, step: int, scores: Mapping[str, float]) -> None:
        """Called after `on_loop_end` if validation scores of `step` were reported."""

    def on_checkpoint(self, step: int) -> None:
        """Called before the checkpoint of `step` is written."""

    def on_end(self, step: int) -> None:
        """Called when the training ended at `step`: at its last step, early, or by an exception."""

    def on_scored(self, step: int, scores: Mapping[str, Any]) -> None:
        """Called when `tfdgm train` has scored the run and written pictures and page, with the entries of `eval.json`.

        It is not called if the run was stopped by a signal, nor again if it has been scored already.
        """

    def state(self) -> dict[str, Any]:
        """Return the state to keep in the checkpoint, by name: anything that JSON can hold."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state` returned when the checkpoint was written; called before `on_start`."""
