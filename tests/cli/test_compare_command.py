"""`tfdgm compare`."""

import subprocess
import sys

import pytest
from fabricated_runs import make_run, two_groups
from small import TINY_BINDINGS, command


def test_it_prints_the_table_and_writes_it_in_every_format(tmp_path, capsys):
    folder = two_groups(tmp_path / "runs")
    outputs = [tmp_path / f"table.{suffix}" for suffix in ("md", "tex", "csv", "html")]
    assert command("compare", folder, *(f"--output={path}" for path in outputs)) == 0
    out = capsys.readouterr().out
    assert "prior=maf" in out and "-20.50 ± 0.50 *" in out
    assert all("prior=maf" in path.read_text() for path in outputs)


def test_the_cells_of_a_matrix_are_its_runs(tmp_path, capsys):
    two_groups(tmp_path / "matrix" / "cells")
    assert command("compare", tmp_path / "matrix", "--show=elbo") == 0
    out = capsys.readouterr().out
    assert "prior=gaussian" in out and "nll_iwae" not in out


def test_folders_that_are_no_runs_are_named_and_the_others_compared(tmp_path, capsys):
    run = make_run(tmp_path / "a", scores={"elbo": -1.0})
    damaged = make_run(tmp_path / "b", config="experiment.steps = \n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    arguments = [run, damaged, tmp_path / "empty", tmp_path / "file", tmp_path / "missing"]
    assert command("compare", *arguments) == 2
    captured = capsys.readouterr()
    assert "-1.00" in captured.out
    assert [line.split(" ")[1] for line in captured.err.splitlines() if line.startswith("tfdgm: ")] == [
        str(tmp_path / name) for name in ("empty", "file", "missing", "b")
    ]


def test_tensorflow_is_not_loaded(tmp_path):
    run = make_run(tmp_path / "a", scores={"elbo": -1.0})
    code = """
import sys
from tfdgm.cli.main import main
assert main(["compare", *sys.argv[1:]]) == 0 and "tensorflow" not in sys.modules
"""
    arguments = [str(run), *(f"--output={tmp_path}/table.{suffix}" for suffix in ("html", "tex"))]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "takes the folders of runs"),
        (["nowhere"], "there is no run to compare:\n  nowhere cannot be read"),
        (["nowhere", "--output=table.xlsx"], "must end in .html, .md, .tex, .csv, got 'table.xlsx'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, capsys):
    assert command("compare", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_two_trained_runs_are_compared_by_what_differs(tmp_path, capsys):
    for size in (2, 4):
        bindings = f"--gin_bindings={TINY_BINDINGS}\nexperiment.latent_size = {size}"
        assert command("train", f"--workdir={tmp_path / str(size)}", bindings) == 0
    capsys.readouterr()
    assert command("compare", tmp_path) == 0
    out = capsys.readouterr().out
    assert "latent_size=2" in out and "latent_size=4" in out and "settings that differ" not in out
    assert "nll_iwae ↓" in out and "*" in out
