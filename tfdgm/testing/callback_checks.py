"""Checks of callbacks."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfdgm.contracts.callback import Callback
from tfdgm.testing.checks import Subject, check
from tfdgm.testing.trials import Trial, trial
from tfdgm.testing.watching import Generators

_LOOP, _STEPS = 100, 200


class RehearsedTraining:
    """A `Training` that takes no step: it records what a callback asks for.

    Args:
      tried: the callback in a built experiment.
      workdir: folder of the run.
    """

    def __init__(self, tried: Trial, workdir: Path) -> None:
        self.built = tried.built
        self.workdir = workdir
        self.step = 0
        self.callbacks: Sequence[Callback] = [tried.plugin]
        self.reported: dict[str, float] = {}
        self.requests: list[str] = []

    def say(self, line: str) -> None:
        self.requests.append(line)

    def report(self, scores: Mapping[str, float]) -> None:
        self.reported.update(scores)

    def stop(self, reason: str, signal: int | None = None) -> None:
        self.requests.append(f"stop: {reason}")

    def save(self, score: float | None = None) -> None:
        self.requests.append(f"save: {score}")


def rehearse(tried: Trial, workdir: Path) -> RehearsedTraining:
    """Call the events of a run of two loops in the documented order."""
    callback: Any = tried.plugin
    training = RehearsedTraining(tried, workdir)
    validation = {"validation_elbo": -27.5, "validation_loss": 27.5}
    if callback.reads_score:
        validation[callback.reads_score] = 1.5
    callback.on_start(training)
    callback.on_checkpoint(0)
    for step in range(_LOOP, _STEPS + 1, _LOOP):
        training.step = step
        metrics = {"loss": 31.2, "elbo": -31.2, "reconstruction": -30.0, "rate": 1.2, "gradient_norm": 0.5}
        callback.on_loop_end(step, metrics)
        callback.on_validation(step, {name: value + step for name, value in validation.items()} | training.reported)
        callback.on_checkpoint(step)
    callback.on_end(_STEPS)
    callback.on_scored(_STEPS, {"step": _STEPS, "data_split": "test", "elbo": -27.4})
    return training


@check(
    "callback", cure="Keep on_start's `training` for later events, and expect any metrics beside the documented ones."
)
def events_can_be_called_in_order(subject: Subject) -> None:
    """All events of a run can be called in the documented order, without draws from global generators."""
    with tempfile.TemporaryDirectory() as folder, Generators(1) as generators:
        training = rehearse(trial(subject), Path(folder))
        used = generators.used()
    subject.require(not used, "", f"an event draws from {', '.join(used)}", "no draw")
    unknown = sorted(set(training.reported) - set(training.callbacks[0].reports))
    subject.require(not unknown, "reports", f"it reports {', '.join(unknown)} too", "the names of all reported scores")


@check(
    "callback", cure="Return plain numbers, strings, lists and dicts from `state`, and assign all of them in `restore`."
)
def state_survives_a_checkpoint(subject: Subject) -> None:
    """`state()` is JSON, and a new instance that restores it has the same state."""
    with tempfile.TemporaryDirectory() as folder:
        tried = trial(subject)
        for moment in ("before", "after"):
            state = tried.plugin.state()
            try:
                stored = json.loads(json.dumps(state, allow_nan=False))
            except (TypeError, ValueError) as error:
                subject.fail("state", f"{moment} a run: {error}", "numbers, strings, lists and dicts")
            other = subject.make()
            other.restore(stored)
            again = json.loads(json.dumps(other.state()))
            subject.require(again == stored, "restore", f"the state is {again} {moment} a run", f"{stored}")
            rehearse(tried, Path(folder))


@check("callback", cure="Read the variables; compute on copies.")
def callback_changes_no_variable(subject: Subject) -> None:
    """No event assigns a variable of the run."""
    tried = trial(subject)
    before = tried.built.state.read()
    with tempfile.TemporaryDirectory() as folder:
        rehearse(tried, Path(folder))
    changed = [name for name, value in tried.built.state.read().items() if not np.array_equal(value, before[name])]
    subject.require(not changed, "", f"an event assigns {', '.join(changed)}", "no assignment")
