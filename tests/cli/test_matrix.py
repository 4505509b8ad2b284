"""`tfdgm matrix`: its errors, and a real matrix that is stopped, killed and resumed."""

import csv
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from small import command
from third_party import STUDENT_T, install

#: Long enough to be stopped in; the third party's prior ends its run by an error.
SETTINGS = """
steps = 3_000
experiment.steps_per_loop = 10
experiment.batch_size = 16
experiment.latent_size = 2
experiment.validate_every = 1_000
experiment.checkpoint_seconds = 0.0
network.mlp.hidden = (8,)
"""
CRASHING = (
    STUDENT_T
    + """

class Crashing(StudentT):
    def project(self):
        raise ZeroDivisionError("it was never tested")
"""
)


def test_help_lists_the_command(capsys):
    assert command("--help") == 0
    assert "matrix" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--jobs=0"], "--jobs must be at least 1, got 0"),
        (["--seeds=0,-1"], "--seeds must be integers in [0, 2^31) or ranges FIRST-LAST of them, got '-1'"),
        (["--seeds=x"], "got 'x'"),
        (["--seeds=3-1"], "got '3-1'"),
        (["--seeds=0-2147483648"], "got '0-2147483648'"),
        (["--seeds=0-1000"], "0-1000 has more than 1,000 seeds"),
        (["--priors=gaussian,mfa"], "there is no prior named 'mfa'. Did you mean 'maf'"),
        (["--posteriors=nome"], "there is no posterior named 'nome'. Did you mean 'none'"),
        (["--objectives=elbo+jds"], "there is no objective named 'jds'. Did you mean 'jsd'"),
        (["--gin_bindings=steps = 3", "--gin_bindings=experiment.seed = 3"], "sets experiment.seed with --seeds"),
        (["--gin_bindings=experiment.objectives = []"], "sets experiment.objectives with --objectives"),
        (["--gin_for=prior.mfa=x.gin"], "x.gin"),
        (["--prior=gaussian"], "prior"),
        (["--seed=3"], "Did you mean: seeds"),
        (["--gin_bindings=steps", "=", "5"], "did you mean --gin_bindings='steps = 5'?"),
        (["--commands"], "--commands requires --dry_run"),
    ],
)
def test_a_user_error_is_one_message_and_code_2_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert command("matrix", "--workdir=m", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_workdir_of_another_command_is_refused(tmp_path, capsys):
    (tmp_path / "config.gin").touch()
    assert command("matrix", f"--workdir={tmp_path}") == 2
    assert "holds a run of tfdgm train" in capsys.readouterr().err
    assert command("matrix", f"--workdir={tmp_path / 'config.gin'}") == 2
    assert command("matrix", f"--workdir={tmp_path / 'config.gin' / 'm'}") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_matrix_on_one_folder_is_refused(tmp_path, capsys):
    with open(tmp_path / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert command("matrix", f"--workdir={tmp_path}") == 2
    assert "another process" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_prints_the_cells_to_train_and_the_refused_ones_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--posteriors=none,gaussian", "--priors=gaussian", "--objectives=elbo", "--seeds=1-2,2"]
    assert command("matrix", "--dry_run", *arguments) == 0
    output = capsys.readouterr().out
    assert "  2: objective.elbo needs a posterior" in output
    assert output.endswith("2 to train, 2 refused; --commands prints the command of each cell to train\n")
    assert command("matrix", "--dry_run", "--commands", *arguments) == 0
    assert "'--gin_bindings=experiment.seed = 2'" in capsys.readouterr().out
    assert command("matrix", *arguments[1:], "--posteriors=none") == 2
    error = capsys.readouterr().err
    assert "all 2 cells are refused" in error and "objective.elbo needs a posterior" in error
    assert list(tmp_path.iterdir()) == []


# ---- real cells


def start(arguments, environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tfdgm", "matrix", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip


def wait_for(process, condition):
    deadline = time.monotonic() + 180
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, process.kill()
        time.sleep(0.01)


def rows(folder):
    return {row["prior"]: row for row in csv.DictReader((folder / "matrix.csv").open())}


@pytest.mark.slow
def test_a_matrix_resumes_after_signals_and_a_failed_cell_does_not_affect_the_others(tmp_path):
    install(tmp_path / "site", "crashing_priors", "tfdgm.prior", {"a_crashing": "Crashing"}, CRASHING)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "TF_CPP_MIN_LOG_LEVEL": "2"}
    folder = tmp_path / "matrix"
    cell = folder / "cells" / "gaussian-gaussian-elbo-0"
    shared = [f"--workdir={folder}", "--posteriors=gaussian", "--objectives=elbo", f"--gin_bindings={SETTINGS}"]

    process = start([*shared, "--priors=gaussian,uniform"], environment)
    wait_for(process, (cell / "metrics.jsonl").exists)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, output
    assert f"to resume, run the same command with --workdir={folder}" in output
    found = rows(folder)
    assert {prior: row["status"] for prior, row in found.items()} == {"gaussian": "unfinished", "uniform": "refused"}
    assert "stopped and saved at step" in (folder / "logs" / "gaussian-gaussian-elbo-0.log").read_text()

    process = start([*shared, "--priors=gaussian"], environment)
    before = (cell / "metrics.jsonl").stat().st_size
    wait_for(process, lambda: (cell / "metrics.jsonl").stat().st_size > before)
    process.kill()
    process.communicate()
    assert not (cell / "eval.json").exists()

    # This one waits for the process of the killed one where that is still saving.
    process = start([*shared, "--priors=gaussian,a_crashing"], environment)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    found = rows(folder)
    assert {prior: row["status"] for prior, row in found.items()} == {
        "a_crashing": "failed", "gaussian": "done", "uniform": "refused"}  # fmt: skip
    assert "project raised ZeroDivisionError: it was never tested (file" in found["a_crashing"]["reason"]
    scores = json.loads((cell / "eval.json").read_text())
    assert scores["step"] == 3_000 and float(found["gaussian"]["elbo"]) == scores["elbo"]
    assert len(json.loads((cell / "run.json").read_text())["starts"]) == 3
    page = (folder / "index.html").read_text()
    assert "data:image/png;base64," in page and "cells/gaussian-gaussian-elbo-0/report.html" in page
