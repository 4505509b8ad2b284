"""`tfdgm.train` and `tfdgm.load`: the same numbers as the commands, whatever else the process does."""

import gc
import os
import random
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import SignalAt, assert_same_tensors, command, normal_rows, points_experiment

import gin
import tfdgm
from tfdgm import Callback, UserError
from tfdgm.api.given_data import given_splits
from tfdgm.errors import PluginFault
from tfdgm.runs.checkpoints import Checkpoints

ROWS = normal_rows(count=120, size=3)
TINY = {"steps": 40, "steps_per_loop": 10, "batch_size": 20, "latent_size": 2, "validate_every": 20}
HIDDEN = {"network.mlp.hidden": (8,)}


def trained(**changes):
    given = {"data": ROWS, "bindings": HIDDEN, "progress": False, **TINY, **changes}
    return tfdgm.train(**given)


def weights(run):
    return Checkpoints(run.workdir / "checkpoints").latest().tensors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of arrays in a workdir, which tests do not write to."""
    return trained(workdir=tmp_path_factory.mktemp("python") / "w")


@pytest.fixture(scope="module")
def by_command(tmp_path_factory):
    """The workdir of the same run by `tfdgm train`."""
    folder = tmp_path_factory.mktemp("command")
    np.savez(folder / "rows.npz", **given_splits(ROWS))
    statements = [f'data.npz.path = "{folder / "rows.npz"}"', "network.mlp.hidden = (8,)", "steps = 40"]
    statements += [f"experiment.{name} = {value}" for name, value in TINY.items() if name != "steps"]
    bindings = [f"--gin_bindings={statement}" for statement in statements]
    assert command("train", f"--workdir={folder / 'w'}", "--gin_file=arrays/reals.gin", *bindings) == 0
    return folder / "w"


def test_weights_are_those_of_the_command(run, by_command):
    assert run.step == 40
    assert_same_tensors(weights(run), Checkpoints(by_command / "checkpoints").latest().tensors)


def test_scores_are_those_of_eval_and_samples_those_of_sample(run, by_command, tmp_path):
    scores = run.scores(num_samples=1_000)
    assert scores == tfdgm.load(by_command)._folder.read_json("eval.json")
    output = tmp_path / "samples.npz"
    assert command("sample", f"--workdir={by_command}", "--num=7", "--seed=3", f"--output={output}") == 0
    drawn = run.sample(7, seed=3)
    with np.load(output) as file:
        assert set(file.files) == {"x", "mean", "z"} and drawn.y is None
        for name in file.files:
            np.testing.assert_array_equal(file[name], getattr(drawn, name))


def test_a_moved_workdir_of_arrays_is_scored_by_the_command(run, tmp_path):
    moved = run.save(tmp_path / "it's moved")
    assert command("eval", f"--workdir={moved}", "--scores=nll_iwae", "--num_samples=5") == 0
    expected = run.scores(names=["nll_iwae"], num_samples=5)
    assert tfdgm.load(moved).scores(names=["nll_iwae"], num_samples=5) == expected
    assert "{workdir}/data.npz" in (moved / "config.gin").read_text()


def test_an_export_of_a_run_of_arrays_finds_its_data(run, tmp_path):
    assert command("export", f"--workdir={run.workdir}", f"--output={tmp_path / 'e'}", "--num_samples=2") == 0
    np.testing.assert_array_equal(tfdgm.load(tmp_path / "e").sample(3).x, run.sample(3).x)
    assert command("eval", f"--workdir={tmp_path / 'e'}", "--scores=nll_iwae", "--num_samples=5") == 0


def test_the_same_call_returns_the_finished_run_and_other_data_or_settings_are_refused(run):
    assert_same_tensors(weights(trained(workdir=run.workdir)), weights(run))
    assert tfdgm.train(workdir=run.workdir, progress=False).step == 40
    with pytest.raises(UserError, match=r"a run on other data \('train' differs"):
        trained(workdir=run.workdir, data=ROWS + 1)
    with pytest.raises(UserError, match=r"(?s)another configuration.*\+experiment.seed = 5"):
        trained(workdir=run.workdir, seed=5)


def test_load_takes_any_kept_checkpoint(run):
    assert tfdgm.load(run.workdir, 0).step == 0
    with pytest.raises(UserError, match="no checkpoint of step 7"):
        tfdgm.load(run.workdir, 7)


@pytest.mark.slow
def test_runs_in_one_process_do_not_change_each_other(run):
    """Another run is trained in the middle of one, from a callback, and one in a loop with it; all agree with `run`."""

    class Nested(Callback):
        def on_loop_end(self, step, metrics):
            if step == 20:
                self.other = trained(seed=1)

    nested = Nested()
    changes = {
        "data": "banana",
        "prior": "maf",
        "likelihood": "gaussian",
        "bindings": {**HIDDEN, "data.banana.num_train": 100},
    }
    others = [trained(seed=1), trained(**changes)]
    before = others[0].sample(5).x
    experiment = points_experiment(callbacks=[nested], steps=30)
    outer, alone = tfdgm.train(experiment=experiment, progress=False), points_experiment(steps=30)
    assert_same_tensors(weights(outer), weights(tfdgm.train(experiment=alone, progress=False)))
    assert_same_tensors(weights(trained()), weights(run))
    np.testing.assert_array_equal(others[0].sample(5).x, before)
    reached = [callback for callback in outer.experiment.callbacks if isinstance(callback, Nested)]
    assert_same_tensors(weights(reached[0].other), weights(others[0]))
    config = (others[1].workdir / "operative_config-40.gin").read_text()
    assert "experiment.prior = @prior.maf()" in config and "data.banana.num_train = 100" in config


@gin.configurable(module="prior")
def gaussian(layers=3):
    """A configurable of the caller whose name one of tfdgm's plugins has, that trains."""
    return layers, trained()


def test_the_callers_gin_is_left_alone_and_changes_nothing(run):
    gin.parse_config("gaussian.layers = 5\ninner/prior.gaussian.layers = 7\ngaussian.layers = 6")
    gin.finalize()
    before = gin.config_str(), gin.config_is_locked()
    try:
        with gin.config_scope("inner"):
            layers, nested = gaussian()
            assert gin.current_scope() == ["inner"]
        assert layers == 7 and gin.query_parameter("gaussian.layers") == 6
        assert (gin.config_str(), gin.config_is_locked()) == before
        assert "experiment" not in gin.operative_config_str()
    finally:
        gin.clear_config()
    assert_same_tensors(weights(nested), weights(run))


def test_global_settings_and_generators_of_the_caller_are_kept_and_change_nothing(run):
    random.seed(1), np.random.seed(2), tf.random.set_seed(3), keras.utils.set_random_seed(4)
    keras.config.set_dtype_policy("mixed_bfloat16"), keras.config.set_floatx("float16")
    tf.config.run_functions_eagerly(True)
    states = random.getstate(), np.random.get_state()[1].tolist()
    try:
        again = trained()
        drawn = again.sample(5).x
        assert keras.config.dtype_policy().name == "mixed_bfloat16" and keras.config.floatx() == "float16"
        assert tf.config.functions_run_eagerly()
    finally:
        keras.config.set_dtype_policy("float32"), keras.config.set_floatx("float32")
        tf.config.run_functions_eagerly(False)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert_same_tensors(weights(again), weights(run))
    np.testing.assert_array_equal(drawn, run.sample(5).x)


def test_a_temporary_workdir_is_removed_with_its_run(tmp_path):
    temporary = trained(steps=10)
    folder = temporary.workdir
    kept = temporary.save(tmp_path / "kept")
    assert folder.is_dir()
    del temporary
    gc.collect()
    assert not folder.exists()
    assert tfdgm.load(kept).step == 10
    with pytest.raises(UserError, match="kept exists"):
        tfdgm.load(kept).save(kept)


@pytest.mark.parametrize("changes", [{"data": ROWS * np.nan}, {"seed": -1}, {"prior": "uniform"}])
def test_a_refused_run_leaves_nothing(tmp_path, changes):
    with pytest.raises(UserError) as raised:
        trained(workdir=tmp_path / "w", **changes)
    assert os.listdir(tmp_path) == [] and str(tmp_path) not in str(raised.value)


class InterruptAt(Callback):
    """Sends this process the signal of Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_loop_end(self, step, metrics):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_returns_the_run_and_the_same_call_continues_it(tmp_path, capsys):
    handler = signal.getsignal(signal.SIGINT)
    interrupted = tfdgm.train(experiment=points_experiment(callbacks=[InterruptAt(20)]), workdir=tmp_path / "w")
    assert interrupted.step == 20 and interrupted.reason is None
    assert "stopped at step 20 of 60, with a checkpoint: interrupted" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is handler
    continued = tfdgm.train(experiment=points_experiment(), workdir=tmp_path / "w", progress=False)
    whole = tfdgm.train(experiment=points_experiment(), progress=False)
    assert_same_tensors(weights(continued), weights(whole))
    np.testing.assert_array_equal(continued.sample(4).x, whole.sample(4).x)


def test_runs_of_one_experiment_share_no_weights(tmp_path):
    experiment = points_experiment(steps=20)
    first = tfdgm.train(experiment=experiment, workdir=tmp_path / "w", progress=False)
    z = np.ones((1, 2), np.float32)
    before = first.decode(z)
    longer = tfdgm.train(experiment=points_experiment(steps=20, seed=4), progress=False)
    tfdgm.train(experiment=experiment, progress=False)
    np.testing.assert_array_equal(first.decode(z), before)
    assert not np.array_equal(longer.decode(z), before)
    np.testing.assert_array_equal(tfdgm.load(tmp_path / "w", experiment=experiment).decode(z), before)
    with pytest.raises(UserError, match="not a workdir of tfdgm"):
        tfdgm.load(tmp_path / "w")


def test_an_experiment_excludes_settings_and_the_workdir_of_a_configuration(run):
    with pytest.raises(UserError, match="so data and steps cannot be given beside it"):
        tfdgm.train(ROWS, experiment=points_experiment(), steps=3)
    with pytest.raises(UserError, match="holds the run of a configuration"):
        tfdgm.train(experiment=points_experiment(), workdir=run.workdir)


def test_a_full_disk_is_a_user_error(monkeypatch, tmp_path):
    def fail(*arguments, **settings):
        raise OSError(28, "No space left on device", "w/data.npz")

    monkeypatch.setattr("tfdgm.api.beginnings.keep_arrays", fail)
    with pytest.raises(UserError, match=r"w/data\.npz: No space left on device"):
        trained(workdir=tmp_path / "w")


def test_progress_is_one_line_where_there_is_no_terminal_and_none_if_unwanted(capfd, tmp_path):
    trained(progress=True, workdir=tmp_path / "w", validate_every=100)
    out, error = capfd.readouterr()
    assert out.startswith("step 40/40  loss ") and out.count("\n") == 1 and error == ""
    trained(validate_every=100)
    assert capfd.readouterr() == ("", "")


def test_naming_train_imports_no_tensorflow():
    code = "import sys, tfdgm; tfdgm.train, tfdgm.load; print('tensorflow' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_another_signal_is_raised_again_once_the_state_is_saved(tmp_path):
    received = []
    handler = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        experiment = points_experiment(callbacks=[SignalAt(20)])
        run = tfdgm.train(experiment=experiment, workdir=tmp_path / "w", progress=False)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert received == [signal.SIGTERM] and run.step == 20
    assert Checkpoints(tmp_path / "w" / "checkpoints").latest().step == 20


def test_a_notebook_shows_the_message_of_a_mistake_and_the_traceback_of_a_fault():
    assert UserError("wrong")._render_traceback_() == ["UserError: wrong"]
    assert PluginFault("broken")._render_traceback_ is None  # IPython falls back to the traceback
