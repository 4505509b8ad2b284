"""Runs as processes that are killed, stopped and restarted."""

import fcntl
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from small import assert_same_tensors, command

from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.metrics_file import read_lines

#: 1,500 steps of about 100 us, with a checkpoint after every tenth: seconds in which to be killed.
BINDINGS = """
steps = 1_500
experiment.steps_per_loop = 10
experiment.batch_size = 16
experiment.latent_size = 2
experiment.validate_every = 500
experiment.checkpoint_seconds = 0.0
network.mlp.hidden = (16,)
"""


def start(workdir, *arguments):
    command = [sys.executable, "-m", "tfdgm", "train", f"--workdir={workdir}", *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def wait_for_step(process, workdir, step):
    """Wait until the metrics contain `step`; fail if the process ends before."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        path = workdir / "metrics.jsonl"
        if path.exists() and any(line["step"] >= step for line in read_lines(path)):
            return
        time.sleep(0.002)
    process.kill()
    pytest.fail(f"step {step} was not reached in 120 s")


@pytest.mark.slow
def test_a_run_that_was_killed_and_stopped_ends_with_the_weights_of_an_uninterrupted_run(tmp_path):
    workdir, straight = tmp_path / "broken", tmp_path / "straight"
    binding = f"--gin_bindings={BINDINGS}"
    process = start(workdir, binding)
    wait_for_step(process, workdir, random.Random(0).randrange(100, 800))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert Checkpoints(workdir / "checkpoints").latest().step < 1_500

    process = start(workdir, binding)
    wait_for_step(process, workdir, 1_000)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, output
    stopped = int(re.search(r"SIGTERM: stopped and saved at step (\d+)", output)[1])
    assert f"to resume: tfdgm train --workdir={workdir}" in output
    assert Checkpoints(workdir / "checkpoints").latest().step == stopped
    assert 1_000 <= stopped < 1_500

    process = start(workdir)  # as the message says: with nothing but the workdir
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert command("train", f"--workdir={straight}", binding) == 0

    broken, whole = (Checkpoints(path / "checkpoints").latest() for path in (workdir, straight))
    assert broken.step == whole.step == 1_500
    assert_same_tensors(broken.tensors, whole.tensors)
    expected = list(range(10, 1_501, 10))
    assert [line["step"] for line in read_lines(workdir / "metrics.jsonl")] == expected
    for ours, theirs in zip(read_lines(workdir / "metrics.jsonl"), read_lines(straight / "metrics.jsonl"), strict=True):
        assert {**ours, "steps_per_second": 0} == {**theirs, "steps_per_second": 0}
    assert len(json.loads((workdir / "run.json").read_text())["starts"]) == 3
    assert json.loads((workdir / "eval.json").read_text()) == json.loads((straight / "eval.json").read_text())
    assert not list((workdir / "checkpoints").glob("*.tmp"))


@pytest.mark.slow
def test_tensorflow_is_imported_only_when_it_is_needed(tmp_path):
    script = """
import runpy, sys, tfdgm
sys.argv = ["tfdgm", *sys.argv[1:]]
try:
    runpy.run_module("tfdgm", run_name="__main__", alter_sys=True)
except SystemExit as exit:
    assert not exit.code, exit.code
print("loaded:", sorted({"tensorflow", "keras", "tensorflow_probability", "gin", "sklearn"} & set(sys.modules)))
"""
    helps = [["--help"], ["train", "--help"], ["matrix", "--help"]]
    for arguments in [*helps, ["--version"], ["plugins"], ["plugins", "list"]]:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.rstrip().endswith("loaded: []"), (arguments, done.stdout)


def test_a_workdir_of_another_configuration_is_refused_with_the_lines_that_differ(trained_workdir, capsys):
    before = (trained_workdir / "config.gin").read_bytes()
    code = command("train", f"--workdir={trained_workdir}", "--gin_bindings=experiment.latent_size = 3")
    error = capsys.readouterr().err
    assert code == 2
    assert "holds a run of another configuration" in error
    assert "-experiment.latent_size = 4" in error and "+experiment.latent_size = 3" in error
    assert (trained_workdir / "config.gin").read_bytes() == before


def test_a_workdir_in_which_another_process_trains_is_refused(trained_workdir, capsys):
    with open(trained_workdir / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert command("train", f"--workdir={trained_workdir}") == 2
    assert "another process holds" in capsys.readouterr().err


def test_only_the_process_that_holds_the_workdir_writes_the_configuration(tmp_path, capsys):
    with open(tmp_path / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert command("train", f"--workdir={tmp_path}", "--gin_bindings=experiment.seed = 7") == 2
    assert "another process holds" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_workdir_that_cannot_be_made_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert command("train", f"--workdir={tmp_path / 'file' / 'run'}") == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "file" / "run") in error and "Traceback" not in error


@pytest.mark.slow
def test_rerunning_a_finished_workdir_makes_no_step_and_keeps_the_weights(trained_workdir, capsys):
    before = Checkpoints(trained_workdir / "checkpoints").latest()
    assert command("train", f"--workdir={trained_workdir}") == 0
    assert "no steps were made" in capsys.readouterr().out
    after = Checkpoints(trained_workdir / "checkpoints").latest()
    assert after.step == before.step == 40
    assert_same_tensors(after.tensors, before.tensors)
    assert max(line["step"] for line in read_lines(trained_workdir / "metrics.jsonl")) == 40
