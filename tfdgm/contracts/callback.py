"""Callbacks: what happens on the host between the compiled loops of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tfdgm.contracts.component import Component


class Training(Protocol):
    """What a callback may read of the training that it belongs to, and ask of it.

    Attributes:
      built: the experiment with its variables; a callback reads them and never assigns them.
      workdir: folder of the run.
      step: number of steps made.
      callbacks: of the training, in the order in which they are called.
    """

    built: Any
    workdir: Path
    step: int

    @property
    def callbacks(self) -> "Sequence[Callback]": ...

    def say(self, line: str) -> None:
        """Print one line to the user."""

    def report(self, scores: Mapping[str, float]) -> None:
        """Add validation scores to the metrics of the loop at hand; every callback's `on_validation` gets them."""

    def stop(self, reason: str, signal: int | None = None) -> None:
        """End the training after this loop, with a checkpoint. With several workers, one that asks stops all."""

    def save(self, score: float | None = None) -> None:
        """Write a checkpoint after this loop; with a score also as the best one."""


class Callback(Component):
    """Watches a training; every method is called on the host and may be left out.

    A callback must not change the numbers: it assigns no variable and draws from no generator of the run's. What it
    remembers goes into checkpoints through `state` and `restore`, so that a resumed run goes on as an uninterrupted
    one.

    Attributes:
      everywhere: whether every worker calls it; else the chief alone does.
      reads_score: name of a validation score that it reads, as in `metrics.jsonl`; a run that has none is refused
        before it begins.
      reports: names of the scores that it reports.
    """

    everywhere: ClassVar[bool] = False
    reads_score: str | None = None
    reports: Sequence[str] = ()

    def on_start(self, training: Training) -> None:
        """The training is about to make steps from `training.step`; again after it went back to a checkpoint."""

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        """A loop ended at `step`; `metrics` are its means, and the scores reported so far."""

    def on_validation(self, step: int, scores: Mapping[str, float]) -> None:
        """Validation scores of `step` were reported."""

    def on_checkpoint(self, step: int) -> None:
        """The checkpoint of `step` is about to be written."""

    def on_end(self, step: int) -> None:
        """The training ended at `step`: at its last step, early, or by an exception."""

    def state(self) -> dict[str, Any]:
        """Return what to keep in the checkpoint: numbers, strings and lists of them by name."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned when the checkpoint was written; before `on_start`."""
