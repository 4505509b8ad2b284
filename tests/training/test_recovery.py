"""The best checkpoint, recovery with lower learning rates, grace periods, and saving in the background."""

import json
import signal
import threading
import time

import keras
import numpy as np
import pytest
from small import Points, SignalAt, assert_same_tensors, command, normal_rows, points_experiment, silent

from tfdgm import ArraySource, Callback, Network, UserError
from tfdgm.errors import NonFiniteError
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer


class Validated(Points):
    def splits(self):
        return {**super().splits(), "validation": ArraySource(self.rows[-10:])}


def run(workdir, **changes):
    data = Validated(rows=normal_rows())
    trainer = Trainer(points_experiment(data=data, validate_every=10, **changes).build(), workdir, silent)
    return trainer, trainer.train()


KEEPS_BEST = """
steps = 40
experiment.steps_per_loop = 10
experiment.validate_every = 10
experiment.batch_size = 16
experiment.keep_best = "validation_rate"
experiment.best_is = "smallest"
network.mlp.hidden = (8,)
"""


@pytest.mark.slow
@pytest.mark.parametrize("side, choose", [("largest", max), ("smallest", min)])
def test_the_checkpoint_with_the_best_score_is_kept_as_well_as_the_newest(side, choose, tmp_path):
    trainer, _ = run(tmp_path, keep_best="validation_elbo", best_is=side, keep_checkpoints=1)
    lines = read_lines(tmp_path / "metrics.jsonl")
    best = choose(lines, key=lambda line: line["validation_elbo"])
    kept = trainer.checkpoints.best()
    assert kept.step == best["step"] and kept.score == pytest.approx(best["validation_elbo"], rel=1e-6)
    assert trainer.checkpoints.steps() == [60]
    assert trainer.checkpoints.named("best").step == kept.step and trainer.checkpoints.named("latest").step == 60


@pytest.mark.slow
def test_a_resumed_run_keeps_the_best_checkpoint_so_far(tmp_path):
    run(tmp_path, keep_best="validation_rate", steps=30)
    before = Checkpoints(tmp_path / "checkpoints").best()
    trainer, _ = run(tmp_path, keep_best="validation_rate")
    after, rates = trainer.checkpoints.best(), read_lines(tmp_path / "metrics.jsonl")
    assert after.score == pytest.approx(max(line["validation_rate"] for line in rates), rel=1e-6)
    assert after.score >= before.score


def test_a_score_that_validation_does_not_have_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(UserError, match=r"'validation_elob' is not a validation score.*validation_elbo"):
        run(tmp_path, keep_best="validation_elob")
    assert Checkpoints(tmp_path / "checkpoints").steps() == []


@pytest.mark.slow
def test_a_checkpoint_is_chosen_by_name_or_step_and_a_missing_one_is_refused(tmp_path):
    trainer, _ = run(tmp_path, keep_checkpoints=2)
    assert trainer.checkpoints.named("50").step == 50
    for name, reason in (("10", "kept are: 50, 60"), ("best", "keep_best keeps one"), ("newest", "latest, best, or")):
        with pytest.raises(UserError, match=reason):
            trainer.checkpoints.named(name)


class Exploding(Network):
    """x W, infinite if W is outside the unit ball: only small steps stay finite."""

    def build(self, input_shape, output_shape, context):
        self.weight = keras.Variable(np.zeros((*input_shape, *output_shape), np.float32), name="weight")

    def __call__(self, x, context):
        weight = self.weight.value
        inside = 1.0 - keras.ops.sum(keras.ops.square(weight))
        return x @ weight / keras.ops.where(inside > 0, 1.0, 0.0)


def exploding(**changes):
    return {"encoder": Exploding(), "optimizer": keras.optimizers.SGD(0.1), "checkpoint_seconds": 0.0, **changes}


@pytest.mark.slow
def test_a_run_that_explodes_recovers_with_half_the_learning_rates_until_it_stays_finite(tmp_path):
    with pytest.raises(NonFiniteError):
        run(tmp_path / "none", **exploding())
    messages = []
    trainer = Trainer(points_experiment(**exploding(recoveries=12)).build(), tmp_path / "some", messages.append)
    assert trainer.train().step == 60
    scale = float(trainer.built.state.learning_rate_scale.numpy())
    halved = [line for line in messages if "learning rates multiplied by" in line]
    assert scale == 0.5 ** len(halved) and 1 <= len(halved) <= 12
    assert [line["step"] for line in read_lines(tmp_path / "some" / "metrics.jsonl")] == [10, 20, 30, 40, 50, 60]


class LoopCounter(Callback):
    """Counts loops, and notes what the checkpoint holds at every start."""

    def __init__(self, folder):
        self.folder = folder
        self.loops = 0
        self.started = []

    def on_start(self, training):
        self.started.append((training.step, self.loops))

    def on_loop_end(self, step, metrics):
        self.loops += 1

    def state(self):
        return {"loops": self.loops}

    def restore(self, state):
        self.loops = state["loops"]


@pytest.mark.slow
def test_a_recovery_returns_callbacks_to_its_step_too_and_stores_them(tmp_path):
    counter = LoopCounter(tmp_path)
    changes = exploding(recoveries=12, callbacks=[counter])
    trainer = Trainer(points_experiment(**changes).build(), tmp_path, silent)
    assert trainer.train().step == 60
    assert len(counter.started) > 1
    assert all(loops == step / 10 for step, loops in counter.started)  # loops of 10 steps
    for step in trainer.checkpoints.steps():
        (state,) = (value for name, value in trainer.checkpoints.at(step).callbacks.items() if "LoopCounter" in name)
        assert state == {"loops": step / 10}


@pytest.mark.slow
def test_the_number_of_recoveries_is_bounded_across_resumes(tmp_path):
    for recovered in (1, 0):
        messages = []
        changes = exploding(recoveries=1, optimizer=keras.optimizers.SGD(1e3))
        trainer = Trainer(points_experiment(**changes).build(), tmp_path, messages.append)
        with pytest.raises(NonFiniteError, match=r"already been halved 1 time\(s\)"):
            trainer.train()
        assert sum("learning rates multiplied by" in line for line in messages) == recovered


@pytest.mark.slow
def test_the_best_of_another_score_is_not_compared_with(tmp_path):
    run(tmp_path, keep_best="validation_elbo", steps=30)
    trainer, _ = run(tmp_path, keep_best="validation_rate", best_is="smallest")
    rates = {line["step"]: line["validation_rate"] for line in read_lines(tmp_path / "metrics.jsonl")}
    kept = trainer.checkpoints.best()
    later = {step: rate for step, rate in rates.items() if step > 30}
    assert kept.step == min(later, key=later.get) and kept.score == pytest.approx(later[kept.step], rel=1e-6)


def test_without_recoveries_the_state_has_no_scale(tmp_path):
    assert "learning_rate_scale" not in points_experiment().build().state.variables
    built = points_experiment(recoveries=1).build()
    assert built.state.variables["learning_rate_scale"].numpy() == 1.0


@pytest.mark.slow
def test_training_continues_after_the_signal_for_the_grace_period(tmp_path):
    ends = {}
    for name, grace in (("at once", 0.0), ("later", 0.5)):
        built, sender = points_experiment(steps=200_000, grace_seconds=grace).build(), SignalAt(50)
        trainer = Trainer(built, tmp_path / name, silent, callbacks=[sender])
        outcome = trainer.train()
        ends[name] = outcome.step, time.monotonic() - sender.at
        assert outcome.signal == signal.SIGTERM and trainer.checkpoints.latest().step == outcome.step
    assert ends["at once"][0] == 50
    assert ends["later"][0] > 50 and ends["later"][1] >= 0.5


def test_training_continues_while_a_checkpoint_is_written_and_the_next_save_raises_its_error(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, warn=silent)
    go, started = threading.Event(), threading.Event()
    save = checkpoints.save

    def slow(checkpoint):
        started.set()
        assert go.wait(10)
        return save(checkpoint)

    monkeypatch.setattr(checkpoints, "save", slow)
    checkpoints.save_later(Checkpoint(10, {"w": np.ones(3)}))
    assert started.wait(10) and checkpoints.steps() == []  # the call has returned, and nothing is written yet
    go.set()
    checkpoints.wait()
    assert checkpoints.steps() == [10]

    def full(checkpoint):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", full)
    checkpoints.save_later(Checkpoint(20, {"w": np.ones(3)}))
    with pytest.raises(UserError, match=r"step 20 could not be written.*No space left.*step 10 is kept"):
        checkpoints.save_later(Checkpoint(30, {"w": np.ones(3)}))


def test_a_checkpoint_has_the_state_at_the_time_of_the_call(tmp_path):
    state = points_experiment().build().state
    before = state.read()
    checkpoints = Checkpoints(tmp_path, warn=silent)
    checkpoints.save_later(Checkpoint(0, state.read()))
    state.assign({name: value + 1 for name, value in before.items()})
    checkpoints.wait()
    assert_same_tensors(checkpoints.latest().tensors, before)


@pytest.mark.slow
def test_the_best_checkpoint_is_evaluated_and_sampled_by_its_name(tmp_path, capsys):
    assert command("train", f"--workdir={tmp_path}/run", f"--gin_bindings={KEEPS_BEST}") == 0
    best = Checkpoints(tmp_path / "run" / "checkpoints").best().step
    assert command("eval", f"--workdir={tmp_path}/run", "--checkpoint=best", "--num_samples=2") == 0
    assert json.loads((tmp_path / "run" / "eval.json").read_text())["step"] == best
    assert command("sample", f"--workdir={tmp_path}/run", "--checkpoint=10", f"--output={tmp_path}/x.npz") == 2
    assert "kept are: 20, 30, 40" in capsys.readouterr().err
