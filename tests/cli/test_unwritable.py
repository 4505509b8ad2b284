"""A full or read-only disk ends a command with one message; earlier results are not lost."""

import errno
import os
import shutil

import pytest
from small import command

from tfdgm.runs.workdir import Workdir
from tfdgm.system import files


@pytest.fixture
def run(trained_workdir, tmp_path, monkeypatch):
    """Copy a finished run without its scores; computing them again is replaced."""
    folder = shutil.copytree(trained_workdir, tmp_path / "run")
    scores = Workdir(trained_workdir).scores()
    for name in ("eval.json", "report.html"):
        (folder / name).unlink()
    monkeypatch.setattr("tfdgm.evaluation.evaluate.score_split", lambda *arguments: scores)
    return folder


def full_for(monkeypatch, ending):
    """Make the disk full for files whose name ends with `ending`."""
    make = os.open

    def full(path, flags, *arguments, **options):
        if flags & os.O_CREAT and f"{ending}." in str(path) and str(path).endswith(files.TEMPORARY):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return make(path, flags, *arguments, **options)

    monkeypatch.setattr(files.os, "open", full)


def error_of(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("tfdgm: ") and "No space left" in lines[-1], lines
    return lines[-1]


@pytest.mark.parametrize("name", ["run.json", "config.gin", "operative_config-40.gin"])
def test_training_names_the_file_that_could_not_be_written(run, monkeypatch, capsys, name):
    full_for(monkeypatch, name)
    assert command("train", f"--workdir={run}") == 2
    assert str(run) in error_of(capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["eval.json", "report.html", "samples-40.npz", "samples-40.png", "reconstructions-40.png"]
)
def test_errors_after_training_report_the_saved_model_or_follow_the_scores(run, monkeypatch, capsys, name):
    full_for(monkeypatch, name)
    assert command("train", f"--workdir={run}") == 2
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith("tfdgm: ") and "No space left" in printed.err
    assert "nll_iwae" in printed.out  # the table comes before anything is written
    assert "the model is saved" in printed.err or "the scores above" in printed.err
    monkeypatch.undo()
    assert not list(run.rglob(f"*{files.TEMPORARY}"))


def test_scores_are_printed_before_a_full_disk_ends_the_command(run, monkeypatch, capsys):
    full_for(monkeypatch, "eval.json")
    assert command("eval", f"--workdir={run}") == 2
    printed = capsys.readouterr()
    assert "nll_iwae" in printed.out and "the scores above could not be written" in printed.err


@pytest.mark.slow
def test_sample_and_export_keep_existing_files(run, tmp_path, monkeypatch, capsys):
    old = tmp_path / "draws.npz"
    old.write_bytes(b"old")
    full_for(monkeypatch, "draws.npz")
    assert command("sample", f"--workdir={run}", "--num=2", f"--output={old}") == 2
    assert old.read_bytes() == b"old" and "draws.npz could not be written" in error_of(capsys)
    monkeypatch.undo()
    full_for(monkeypatch, "config.gin")
    assert command("export", f"--workdir={run}", f"--output={tmp_path / 'out'}", "--num_samples=1") == 2
    error_of(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["draws.npz", "run"]


def test_a_table_that_cannot_be_printed_is_one_message(capfd, monkeypatch):
    kept = os.dup(1)
    try:
        with open("/dev/full", "w") as full:
            os.dup2(full.fileno(), 1)
            monkeypatch.setattr("sys.stdout", open(1, "w", closefd=False))  # noqa: SIM115
            assert command("plugins") == 2
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert capfd.readouterr().err == "tfdgm: the output could not be written: No space left on device\n"
