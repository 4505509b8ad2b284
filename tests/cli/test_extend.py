"""`--extend`, `experiment.initial` and `--other_data`, as a user meets them."""

import json
import shutil

import numpy as np
import pytest
from small import TINY_BINDINGS, command

from tfdgm.runs.checkpoint_files import newest_intact
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.workdir import Workdir

OWN = """
include "digits/vae.gin"
experiment.data = @data.npz()
experiment.likelihood = @likelihood.gaussian()
data.npz.path = "points.npz"
"""


@pytest.fixture(autouse=True)
def not_scored(monkeypatch):
    monkeypatch.setattr("tfdgm.cli.results.finish", lambda *arguments: None)


@pytest.fixture
def workdir(trained_workdir, tmp_path):
    return shutil.copytree(trained_workdir, tmp_path / "run")


def record(folder):
    return json.loads((folder / "run.json").read_text())


def train(folder, *bindings, flags=()):
    return command("train", f"--workdir={folder}", *flags, *(f"--gin_bindings={binding}" for binding in bindings))


def test_without_config_gin_the_checkpoint_still_knows_its_schedule(workdir, capsys):
    (workdir / "config.gin").unlink()
    assert train(workdir, "steps = 60") == 2
    error = capsys.readouterr().err
    assert "add --extend" in error and "-steps = 40" in error and "+steps = 60" in error
    assert newest_intact(workdir / "checkpoints")[0].step == 40 and not (workdir / "config.gin").exists()


def test_a_config_of_another_schedule_does_not_continue_a_checkpoint(workdir, capsys):
    text = (workdir / "config.gin").read_text()
    (workdir / "config.gin").write_text(text.replace("steps = 40", "steps = 60", 1))
    assert train(workdir) == 2
    assert "the checkpoint of step 40 is of a run of another configuration" in capsys.readouterr().err


def test_an_extended_run_records_its_configurations_and_scores_older_checkpoints_under_theirs(
    workdir, capsys, monkeypatch
):
    before = record(workdir)
    assert train(workdir, "experiment.latent_size = 5", flags=["--extend"]) == 2
    assert "which --extend does not allow" in capsys.readouterr().err and record(workdir) == before
    assert train(workdir, "steps = 60", flags=["--extend"]) == 0
    assert "extended from step 40 under another configuration:\n" in capsys.readouterr().out
    checkpoint, _ = newest_intact(workdir / "checkpoints")
    config = (workdir / "config.gin").read_text()
    assert checkpoint.step == 60 and checkpoint.config == config and "steps = 60" in config
    after = record(workdir)
    assert [each["step"] for each in after["configs"]] == [0, 40]
    assert after["configs"][1]["config"] == config and after["configs"][0] == before["configs"][0]
    assert [start["step"] for start in after["starts"]] == [0, 40]
    assert after["fingerprint"] == before["fingerprint"] and set(after["fingerprint"]) == {
        "train",
        "validation",
        "test",
    }
    assert Workdir(workdir).run_record() == after  # nothing of it is taken for damage
    assert train(workdir) == 0 and train(workdir, "steps = 60", flags=["--extend"]) == 0  # both have nothing to do
    capsys.readouterr()
    older = Checkpoints(workdir / "checkpoints").steps()[0]
    assert older <= 40
    shutil.copy(Checkpoints(workdir / "checkpoints").path(older), workdir / "checkpoints" / "best.npz")
    assert command("sample", f"--workdir={workdir}", "--checkpoint=best", f"--output={workdir}/x.npz", "--num=4") == 0


def test_an_extension_that_fails_changes_nothing(workdir, capsys):
    before = (workdir / "config.gin").read_bytes(), record(workdir)
    other = "experiment.optimizer = @keras.optimizers.SGD()\nkeras.optimizers.SGD.learning_rate = 0.1"
    assert train(workdir, other, "steps = 60", flags=["--extend"]) == 2
    assert "--extend: SGD, the optimizer" in capsys.readouterr().err
    assert train(workdir, "steps = 20", flags=["--extend"]) == 2
    assert "the run has made 40 steps" in capsys.readouterr().err
    assert ((workdir / "config.gin").read_bytes(), record(workdir)) == before
    assert train(workdir) == 0


@pytest.mark.parametrize(
    "flags, message", [([], "--extend requires --workdir"), (["--workdir=new"], "--extend: there is no run in new")]
)
def test_there_must_be_a_run_to_extend(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert command("train", "--extend", *flags, f"--gin_bindings={TINY_BINDINGS}") == 2
    assert message in capsys.readouterr().err and list(tmp_path.rglob("*.gin")) == []


def test_a_run_from_anothers_weights_lists_them(trained_workdir, tmp_path, capsys):
    folder = tmp_path / "tuned"
    parts = f"experiment.initial = '{trained_workdir}'\nexperiment.initial_parts = ('encoder',)"
    assert train(folder, TINY_BINDINGS, parts) == 0
    out = capsys.readouterr().out
    assert f"initial weights from {trained_workdir} at step 40: encoder (4) variables" in out
    assert "not taken, as they are initialised here: decoder (4)" in out
    initial = record(folder)["initial"]
    assert initial["step"] == 40 and len(initial["taken"]) == 4 and initial["unused"] == []
    assert train(folder) == 0 and record(folder)["initial"] == initial
    assert train(tmp_path / "none", TINY_BINDINGS, f"experiment.initial = '{tmp_path}/no'") == 2
    assert "experiment.initial: there is no checkpoint in" in capsys.readouterr().err
    assert list((tmp_path / "none").rglob("*.gin")) == []  # so that the same workdir can be used


def save_points(path, seed=0):
    random = np.random.RandomState(seed)
    splits = {name: random.randn(size, 5).astype(np.float32) for name, size in (("train", 200), ("test", 40))}
    labels = {f"{name}_labels": random.randint(3, size=len(rows)) for name, rows in splits.items()}
    np.savez(path, **splits, **labels)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with a config file, its data beside it, and a run that was started from another folder."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.gin").write_text(OWN)
    save_points(folder / "points.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfdgm.cli.results.finish", lambda *arguments: None)
        assert (
            command(
                "train", f"--workdir={folder}/run", f"--gin_file={folder}/own.gin", f"--gin_bindings={TINY_BINDINGS}"
            )
            == 0
        )
    return folder


def test_data_is_found_from_any_folder_recognised_where_it_moved_and_refused_if_it_changed(
    own, tmp_path, monkeypatch, capsys
):
    folder = shutil.copytree(own, tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    config = folder / "run" / "config.gin"
    score = ("eval", f"--workdir={folder}/run", "--num_samples=2", "--scores=nll_iwae")
    assert command(*score) == 0  # the data of the first start
    config.write_text(config.read_text().replace(f"'{own}/", f"'{folder}/"))
    assert command(*score) == 0 and train(folder / "run") == 0  # a copy
    save_points(folder / "points.npz", seed=1)
    capsys.readouterr()
    assert command(*score) == 2 and train(folder / "run") == 2
    error = capsys.readouterr().err
    assert error.count("the data is not that of the run") == 2 and error.count("split 'test': checksum ") == 2
    assert command(*score, "--other_data") == 0
    assert "other data than that of the run: split 'test': content" in capsys.readouterr().err
    assert "split 'train': content" in Workdir(folder / "run").scores()["other_data"]
    assert train(folder / "run", flags=["--other_data"]) == 0
    assert any("split 'test': content" in line for line in record(folder / "run")["starts"][-1]["other_data"])
    assert command(*score) == 0 and "other_data" not in Workdir(folder / "run").scores()


def test_samples_and_exports_need_no_data(own, tmp_path, capsys):
    first, again, exported = tmp_path / "first.npz", tmp_path / "again.npz", tmp_path / "export"
    folder = shutil.copytree(own, tmp_path / "copy")
    assert command("sample", f"--workdir={folder}/run", f"--output={first}", "--num=6") == 0
    config = folder / "run" / "config.gin"
    config.write_text(config.read_text().replace("points.npz", "gone.npz"))
    assert command("sample", f"--workdir={folder}/run", f"--output={again}", "--num=6") == 0
    assert command("export", f"--workdir={folder}/run", f"--output={exported}", "--num_samples=2") == 0
    for one, other in zip(np.load(first).values(), np.load(again).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert command("sample", f"--workdir={exported}", f"--output={again}", "--num=6") == 0
    np.testing.assert_array_equal(np.load(first)["x"], np.load(again)["x"])
    capsys.readouterr()
    assert command("eval", f"--workdir={exported}") == 2
    assert "file not found" in capsys.readouterr().err


@pytest.mark.slow
def test_labels_are_drawn_from_the_data_unless_one_is_given(own, tmp_path, capsys):
    folder = tmp_path / "run"
    bindings = [TINY_BINDINGS, "experiment.condition = True", f"data.npz.path = '{tmp_path}/points.npz'"]
    shutil.copy(own / "points.npz", tmp_path)
    assert (
        command(
            "train",
            f"--workdir={folder}",
            f"--gin_file={own}/own.gin",
            *(f"--gin_bindings={each}" for each in bindings),
        )
        == 0
    )
    sample = ("sample", f"--workdir={folder}", f"--output={tmp_path}/x.npz", "--num=30")
    assert command(*sample) == 0 and set(np.load(tmp_path / "x.npz")["y"]) == {0, 1, 2}
    (tmp_path / "points.npz").unlink()
    assert command(*sample, "--label=2") == 0 and set(np.load(tmp_path / "x.npz")["y"]) == {2}
    capsys.readouterr()
    assert command(*sample) == 2 and "file not found" in capsys.readouterr().err
