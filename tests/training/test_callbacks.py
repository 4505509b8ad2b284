"""Callbacks observe every loop, stop, save and resume; early stopping is one of them."""

import json
import os
import signal
from types import SimpleNamespace

import pytest
from small import Points, SignalAt, assert_same_tensors, normal_rows, points_experiment, silent
from tfdgm_callbacks.early_stopping import EarlyStopping

from tfdgm import ArraySource, Callback, UserError
from tfdgm.errors import PluginFault
from tfdgm.runs.checkpoint_files import read
from tfdgm.runs.same_run import differences
from tfdgm.training.trainer import Trainer


class Diary(Callback):
    """Records every event."""

    def __init__(self, *, stop_at=None, save_at=None, report_at=None):
        self.stop_at, self.save_at, self.report_at = stop_at, save_at, report_at
        self.events = []
        self.loops = 0
        self.reports = ["tokens"]

    def on_start(self, training):
        self.training = training
        self.events.append(("start", training.step))

    def on_loop_end(self, step, metrics):
        self.loops += 1
        self.events.append(("loop", step))
        if step == self.report_at:
            self.training.report({"tokens": 7.0})
        if step == self.stop_at:
            self.training.stop("enough")
        if step == self.save_at:
            self.training.save()

    def on_validation(self, step, scores):
        self.events.append(("validation", step, sorted(scores)))

    def on_checkpoint(self, step):
        self.events.append(("checkpoint", step))

    def on_end(self, step):
        self.events.append(("end", step))

    def state(self):
        return {"loops": self.loops}

    def restore(self, state):
        self.loops = state["loops"]


class WithValidation(Points):
    """Validates on the first training rows."""

    def splits(self):
        return {**super().splits(), "validation": ArraySource(self.rows[:40])}


def trained(workdir, *callbacks, **changes):
    settings = {"steps": 40, "checkpoint_seconds": 1e6, **changes}
    trainer = Trainer(points_experiment(callbacks=list(callbacks), **settings).build(), workdir, silent)
    return trainer, trainer.train()


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_callback_gets_every_event_in_order(tmp_path):
    diary = Diary(save_at=20, report_at=30)
    _, result = trained(tmp_path, diary)
    assert diary.events == [
        ("start", 0), ("checkpoint", 0), ("loop", 10), ("loop", 20), ("checkpoint", 20), ("loop", 30),
        ("validation", 30, ["tokens"]), ("loop", 40), ("checkpoint", 40), ("end", 40),
    ]  # fmt: skip
    assert (result.step, result.signal, result.reason) == (40, None, None)
    assert [line.get("tokens") for line in lines(tmp_path)] == [None, None, 7.0, None]


def test_a_stop_ends_after_the_loop_with_a_checkpoint_and_its_reason(tmp_path):
    trainer, result = trained(tmp_path, Diary(stop_at=20))
    assert (result.step, result.signal, result.reason) == (20, None, "enough")
    assert trainer.checkpoints.steps() == [0, 20]


def test_callbacks_change_no_number(tmp_path):
    plain, _ = trained(tmp_path / "plain")
    watched, _ = trained(tmp_path / "watched", Diary(save_at=10, report_at=20), EarlyStopping(score="tokens"))
    assert_same_tensors(watched.built.state.read(), plain.built.state.read())


def test_the_state_of_callbacks_is_restored_with_the_checkpoint(tmp_path):
    first, other = Diary(stop_at=20), Diary()
    trained(tmp_path, first, other)
    kept = read(tmp_path / "checkpoints" / "step-0000000020.npz")
    assert kept.callbacks == {f"{__name__}.Diary/{number}": {"loops": 2} for number in (0, 1)}
    later = Diary()
    _, result = trained(tmp_path, later)
    assert later.events[0] == ("start", 20) and later.loops == 4 and result.step == 40


def test_a_state_that_json_cannot_represent_is_refused_with_the_callbacks_name(tmp_path):
    class Odd(Diary):
        def state(self):
            return {"seen": {1, 2}}

    with pytest.raises(UserError, match=r"Odd.*cannot be stored in a checkpoint"):
        trained(tmp_path, Odd())


def test_on_end_is_called_after_an_error_too(tmp_path):
    class Failing(Diary):
        def on_loop_end(self, step, metrics):
            raise RuntimeError("no")

    failing = Failing()
    with pytest.raises(PluginFault, match=r"Failing: on_loop_end raised RuntimeError: no \(file"):
        trained(tmp_path, failing)
    assert failing.events[-1] == ("end", 10)


def test_a_resumed_run_may_change_its_callbacks():
    saved = "experiment.seed = 3\n"
    requested = "callback.early_stopping.patience = 3\nexperiment.callbacks = [@callback.early_stopping()]\n" + saved
    assert differences(saved, requested) == []


def test_a_resumed_run_may_change_its_scores():
    saved = "experiment.seed = 3\n"
    requested = "experiment.scores = [@score.wasserstein()]\nscore.wasserstein.samples = 5\n" + saved
    assert differences(saved, requested) == []


def test_only_callbacks_that_started_are_ended_and_one_that_fails_keeps_no_other_from_it(tmp_path):
    class Failing(Diary):
        def on_end(self, step):
            raise RuntimeError("late")

    first, refusing, last = Failing(), Diary(), Diary()
    refusing.reads_score = "validation_elob"
    with pytest.raises(UserError, match="validation_elob"):  # raised before any of them starts
        trained(tmp_path / "refused", first, refusing, last)
    assert last.events == []
    with pytest.raises(PluginFault, match="late"):
        trained(tmp_path / "ended", Failing(), last)
    assert last.events[-1] == ("end", 40)


@pytest.mark.parametrize("event", ["on_start", "on_end"])
def test_a_signal_outside_the_loops_is_not_lost(tmp_path, event):
    trained(tmp_path)

    class Signalled(Callback):
        pass

    setattr(Signalled, event, lambda self, what: os.kill(os.getpid(), signal.SIGTERM))
    _, result = trained(tmp_path, Signalled())  # all steps are made
    assert (result.step, result.signal) == (40, signal.SIGTERM)


def test_a_run_that_ends_within_the_grace_period_reports_the_signal(tmp_path):
    _, result = trained(tmp_path, SignalAt(30), grace_seconds=60.0)
    assert (result.step, result.signal, result.reason) == (40, signal.SIGTERM, None)


def test_a_callback_that_joins_on_resuming_has_its_state_in_a_checkpoint_at_once(tmp_path):
    trained(tmp_path, Diary(stop_at=20))
    trained(tmp_path, EarlyStopping(score="tokens"), Diary(stop_at=30))
    kept = read(tmp_path / "checkpoints" / "step-0000000020.npz")
    assert "tfdgm_callbacks.early_stopping.EarlyStopping/0" in kept.callbacks


# ---- early stopping


def worsening(patience=2, **settings):
    """Early stopping that takes small values of the ELBO, which rises in training, as good."""
    return EarlyStopping(score="validation_elbo", best_is="smallest", patience=patience, **settings)


STOPPING = {"data": WithValidation(rows=normal_rows()), "validate_every": 10, "steps": 200}


def test_early_stopping_waits_for_its_patience():
    reasons = []
    callback = EarlyStopping(score="s", patience=2, at_least=0.5)
    callback.on_start(SimpleNamespace(stop=reasons.append))
    for step, value in enumerate([1.0, 2.0, 2.4, 2.6, 2.9]):  # 2.6 is an improvement on 2.0 by more than 0.5
        callback.on_validation(step, {"s": value})
        assert reasons == []
    callback.on_validation(5, {"other": 9.0})
    assert reasons == []
    callback.on_validation(6, {"s": 3.0})
    assert reasons == ["s has not improved since step 3 (2.6)"]


def test_early_stopping_can_take_small_values_as_good():
    reasons = []
    callback = worsening(patience=1)
    callback.on_start(SimpleNamespace(stop=reasons.append))
    for step, value in ((1, 5.0), (2, 4.0), (3, 4.5)):
        callback.on_validation(step, {"validation_elbo": value})
    assert reasons == ["validation_elbo has not improved since step 2 (4)"]


@pytest.mark.slow
def test_early_stopping_after_an_interruption_ends_at_the_step_of_an_uninterrupted_run(tmp_path):
    whole, result = trained(tmp_path / "whole", worsening(), **STOPPING)  # the ELBO rises, so that it never improves
    assert result.reason and 20 < result.step < 200
    trained(tmp_path / "parts", worsening(), SignalAt(20), **STOPPING)
    parts, resumed = trained(tmp_path / "parts", worsening(), **STOPPING)
    assert (resumed.step, resumed.reason) == (result.step, result.reason)
    assert_same_tensors(parts.built.state.read(), whole.built.state.read())
    diary = Diary()
    _, again = trained(tmp_path / "parts", worsening(), diary, **STOPPING)  # a stopped run stays stopped
    assert (again.step, again.reason) == (result.step, result.reason) and diary.loops == 0


def test_a_score_that_the_run_does_not_have_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(UserError, match=r"'validation_elob' is not a validation score.*validation_elbo"):
        trained(tmp_path, EarlyStopping(score="validation_elob"), **STOPPING)
    assert not (tmp_path / "checkpoints").exists()
