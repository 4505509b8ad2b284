"""A workdir, a checkpoint, data or a config of a stranger runs none of his code."""

import os
import pickle
import shutil

import numpy as np
import pytest
from small import command

#: Left behind by a payload that ran.
MARK = "ran.txt"


class Payload:
    """Unpickled, it leaves a mark."""

    def __reduce__(self):
        return (os.system, (f"touch {MARK}",))


@pytest.fixture
def stranger(trained_workdir, tmp_path, monkeypatch):
    """A copy of a finished run, in which somebody may have changed anything."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_workdir, "run")
    yield tmp_path / "run"
    assert not (tmp_path / MARK).exists()


def pickled(path):
    np.savez(path, **{"manifest.json": np.array([Payload()], dtype=object)}, allow_pickle=True)


def bare_pickle(path):
    path.write_bytes(pickle.dumps(Payload()))


@pytest.mark.parametrize("what", [pickled, bare_pickle])
@pytest.mark.parametrize("run", [("eval",), ("sample", "--output=x.npz"), ("export", "--output=out"), ("train",)])
def test_a_checkpoint_with_a_pickle_is_damaged_and_not_run(what, run, stranger, capsys):
    for path in (stranger / "checkpoints").glob("*.npz"):
        what(path)
    assert command(run[0], "--workdir=run", *run[1:]) == 2
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from os import system",
        "experiment.seed = __import__('os').system('touch ran.txt')",
        "experiment.steps = @os.system()",
        "os.system.command = 'touch ran.txt'",
        "experiment.prior = @prior.gaussian().__class__()",
        "include '/proc/self/environ'",
        "experiment.prior = @prior.not_installed()",
    ],
)
@pytest.mark.parametrize("run", [("eval",), ("sample", "--output=x.npz"), ("export", "--output=out"), ("train",)])
def test_a_config_names_installed_plugins_and_can_do_nothing_else(line, run, stranger, capsys):
    with open(stranger / "config.gin", "a") as file:
        file.write(f"\n{line}\n")
    assert command(run[0], "--workdir=run", *run[1:]) == 2
    assert capsys.readouterr().err.startswith("tfdgm: ")


def test_data_with_a_pickle_is_refused(stranger, capsys):
    np.savez("data.npz", train=np.array([Payload()] * 3, dtype=object), allow_pickle=True)
    bindings = "experiment.data = @data.npz()\ndata.npz.path = 'data.npz'"
    assert command("train", "--workdir=other", f"--gin_bindings={bindings}") == 2
    assert "data.npz" in capsys.readouterr().err


def test_an_exported_model_is_rebuilt_and_its_graph_is_not_loaded(stranger, monkeypatch):
    import tensorflow as tf

    assert command("export", "--workdir=run", "--output=out") == 0
    monkeypatch.setattr(tf.saved_model, "load", lambda *arguments, **named: os.system(f"touch {MARK}"))
    (stranger.parent / "out" / "saved_model.pb").write_bytes(b"a graph that reads and writes files")
    assert command("sample", "--workdir=out", "--output=x.npz", "--num=2") == 0


def test_other_files_of_a_workdir_are_text_to_read(stranger):
    for name in ("run.json", "eval.json", "metrics.jsonl", "codes.npz"):
        bare_pickle(stranger / name)
    assert command("eval", "--workdir=run", "--num_samples=1") == 0
