"""Damaged files of a run: a command has the same result, or exits with one message and code 2."""

import functools
import os
import random
import shutil

import numpy as np
import pytest
from sklearn.datasets import load_digits
from small import command

from tfdgm.runs.checkpoint_files import DamagedCheckpoint, newest_intact, read
from tfdgm.runs.experiment import Experiment
from tfdgm.runs.workdir import Workdir


def flip(content, chance):
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def cut(content, chance):
    del content[chance.randrange(len(content)) :]


def swap(content, chance):
    first, second = chance.randrange(len(content)), chance.randrange(len(content))
    content[first], content[second] = content[second], content[first]


def zero(content, chance):
    start = chance.randrange(len(content))
    content[start : start + 64] = bytes(len(content[start : start + 64]))


def double(content, chance):
    start = chance.randrange(len(content))
    content[start:start] = content[start : start + chance.randrange(1, 200)]


def scramble(content, chance):
    content[:] = chance.randbytes(chance.randrange(300))


DAMAGES = (flip, flip, flip, cut, swap, zero, double, scramble)


def damaged(content, chance):
    changed = bytearray(content)
    chance.choice(DAMAGES)(changed, chance)
    return bytes(changed)


def as_folder(path):
    path.unlink()
    path.mkdir()


def as_pipe(path):
    path.unlink()
    os.mkfifo(path)


def as_link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.parent / "nothing")


@pytest.fixture
def run(trained_workdir, tmp_path, monkeypatch):
    """Copy a finished run; compiled parts are built once or replaced, but all files are read."""
    folder = shutil.copytree(trained_workdir, tmp_path / "run")
    shutil.rmtree(folder / "events")
    scores = Workdir(trained_workdir).scores()
    built, build = [], Experiment.build

    def once(experiment, devices=None):
        if not built:
            built.append(build(experiment, devices))
        return built[0]

    monkeypatch.setattr(Experiment, "build", once)
    monkeypatch.setattr("tfdgm.evaluation.evaluate.score_split", lambda *arguments: scores)
    monkeypatch.setattr("tfdgm.cli.results.draw_pictures", lambda *arguments: {})
    monkeypatch.setattr("tfdgm.reporting.run_page.draw_curves", lambda *arguments: b"")
    monkeypatch.setattr("tfdgm.runs.data_scale.data_scale_warnings", lambda built: [])
    monkeypatch.setattr("tfdgm.runs.record.describe_commit", lambda folder: None)
    monkeypatch.setattr("tfdgm_data.digits.load_digits", functools.cache(load_digits))
    return folder


def outcome(folder, capsys):
    """Train, and return "same" or "refused"; fail for any other result."""
    code = command("train", f"--workdir={folder}")
    errors = capsys.readouterr().err
    messages = [line for line in errors.splitlines() if line.startswith("tfdgm: ") and "warning: " not in line]
    assert "Traceback" not in errors
    if code == 2:
        assert len(messages) == 1, errors
        return "refused"
    assert code == 0, (code, errors)
    step, _ = newest_intact(folder / "checkpoints")
    assert step.step == 40 and Workdir(folder).scores()["step"] == 40
    return "same"


def assault(folder, names, times, capsys):
    """Damage one file at a time and train; return the results by file."""
    chance = random.Random(0)
    sound = {name: (folder / name).read_bytes() for name in names}
    found = {}
    for number in range(times):
        name = names[number % len(names)]
        for other, content in sound.items():
            (folder / other).write_bytes(content)
        (folder / name).write_bytes(damaged(sound[name], chance))
        found.setdefault(name, set()).add(outcome(folder, capsys))
    return found


NAMES = [
    "config.gin", "run.json", "metrics.jsonl", "eval.json", "scores.json", "report.html", ".lock",
    "operative_config-40.gin",
]  # fmt: skip


def test_a_damaged_file_has_no_effect_or_is_reported_in_one_message(run, capsys):
    (run / ".lock").write_bytes(b"x")
    found = assault(run, NAMES, 42, capsys)
    assert found.pop("config.gin") <= {"same", "refused"} and set(map(frozenset, found.values())) == {
        frozenset({"same"})
    }


@pytest.mark.slow
def test_five_hundred_damages(run, capsys):
    (run / ".lock").write_bytes(b"x")
    found = assault(run, NAMES, 500, capsys)
    assert "refused" in found.pop("config.gin")
    assert set(map(frozenset, found.values())) == {frozenset({"same"})}


@pytest.mark.parametrize("make", [as_folder, as_pipe, as_link_to_nothing])
def test_paths_that_are_not_files_are_skipped_or_reported(run, capsys, make):
    for name in ("config.gin", "run.json", "metrics.jsonl", "eval.json", "scores.json", "report.html", ".lock"):
        kept = run.with_name("kept")
        shutil.copytree(run, kept)
        make(run / name)
        outcome(run, capsys)
        shutil.rmtree(run)
        kept.rename(run)


@pytest.mark.parametrize("name", ["checkpoints", "samples", "events"])
def test_a_file_in_place_of_a_folder_is_reported(run, capsys, name):
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).write_text("a file")
    assert outcome(run, capsys) == "refused"


@pytest.mark.parametrize("times", [300, pytest.param(4_000, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_has_the_same_content_or_is_skipped(trained_workdir, tmp_path, times):
    newest, _ = newest_intact(trained_workdir / "checkpoints")
    path = tmp_path / "step-0000000040.npz"
    content = (trained_workdir / "checkpoints" / path.name).read_bytes()
    chance = random.Random(1)
    passed_over = 0
    for number in range(times):
        if number % 3 == 0:  # where zip and NumPy read first: headers, directory, manifest
            changed = bytearray(content)
            place = chance.choice([chance.randrange(4_000), len(content) - 1 - chance.randrange(3_000)])
            changed[place] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
        else:
            path.write_bytes(damaged(content, chance))
        try:
            found = read(path)
        except DamagedCheckpoint:
            passed_over += 1
            continue
        assert found.step == newest.step and found.config == newest.config and set(found.tensors) == set(newest.tensors)
        for name, tensor in newest.tensors.items():
            np.testing.assert_array_equal(found.tensors[name], tensor)
    assert passed_over > times // 2
