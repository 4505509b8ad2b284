"""`tfdgm sweep`: its errors, and a real grid and a real search of the smallest runs."""

import csv
import json

import pytest
from small import TINY_BINDINGS, command

SIZES = "--vary=experiment.latent_size = 2, 3"
RATES = "--vary=keras.optimizers.schedules.CosineDecay.initial_learning_rate = 0.0001, 0.01"
GOAL = "--goal=validation_elbo largest"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--vary is required"),
        (["--vary=steps"], "is not NAME = VALUES"),
        (["--vary=experiment.latent_siz = 2"], "Did you mean 'latent_size'"),
        (["--vary=steps = log(2, 1)"], "is backwards"),
        (["--vary=steps = linear(1, 2)"], "--trials=N"),
        ([SIZES, "--trials=0", GOAL], "--trials must be at least 1, got 0"),
        ([SIZES, "--trials=2"], "--trials needs --goal"),
        ([SIZES, "--sampler=tpe"], "--sampler needs --trials"),
        ([SIZES, "--pruner=median"], "--pruner needs --trials"),
        ([SIZES, "--goal=elbo"], "--goal must be 'NAME largest' or 'NAME smallest'"),
        ([SIZES, "--trials=2", GOAL, "--dry_run", "--commands"], "a search chooses its cells while it runs"),
        ([SIZES, "--sampler=tpee", "--trials=2", GOAL], "tpe"),
        ([SIZES, "--gin_bindings=experiment.seed = 3"], "sets experiment.seed with --seeds"),
        ([SIZES, "--gin_bindings=experiment.latent_size = 3"], "--vary sets experiment.latent_size too"),
        ([SIZES, "--jobs=0"], "--jobs must be at least 1"),
    ],
)
def test_a_user_error_is_one_message_and_code_2_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert command("sweep", "--workdir=s", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_values_that_the_experiment_refuses_are_found_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command("sweep", "--vary=experiment.latent_size = integers(0, 3)", "--trials=2", GOAL) == 2
    assert (
        "experiment.latent_size = 0 is refused:\n  experiment.latent_size must be at least 1" in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_grid_and_a_search_train_and_name_the_best(tmp_path, capsys):
    shared = [f"--gin_bindings={TINY_BINDINGS}", GOAL]
    grid = tmp_path / "grid"
    assert command("sweep", f"--workdir={grid}", RATES, *shared) == 0
    output = capsys.readouterr().out
    rows = list(csv.DictReader((grid / "sweep.csv").open()))
    assert [(row["initial_learning_rate"], row["status"]) for row in rows] == [("0.0001", "done"), ("0.01", "done")]
    lines = [json.loads(line) for path in sorted(grid.glob("cells/*/metrics.jsonl")) for line in path.open()]
    best = max(line["validation_elbo"] for line in lines if line["step"] == 40)
    assert (
        f"best of 2: initial_learning_rate 0.01: validation_elbo {best:.2f}" in output
        and "tfdgm train --workdir" in output
    )
    assert "initial_learning_rate 0.0001" in (grid / "index.html").read_text()

    searched = [RATES, "--trials=1", *shared]
    assert command("sweep", f"--workdir={grid}", *searched) == 2
    assert "holds a grid, not a search" in capsys.readouterr().err
    folder = tmp_path / "search"
    assert command("sweep", f"--workdir={folder}", *searched) == 0
    assert "best of 1: initial_learning_rate" in capsys.readouterr().out
    assert command("sweep", f"--workdir={folder}", *searched) == 0  # nothing is left to do
    assert len(list((folder / "cells").iterdir())) == 1
    assert (
        command("sweep", f"--workdir={folder}", "--vary=experiment.keep_checkpoints = 2, 3", "--trials=1", *shared) == 2
    )
    assert "initial_learning_rate, not experiment.keep_checkpoints" in capsys.readouterr().err
