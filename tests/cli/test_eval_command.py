"""What eval writes, and what it keeps."""

import errno
import json
import os
import shutil
import signal
import time

import pytest
from small import command
from tfdgm_scores.mmd import MMD

from tfdgm.runs.workdir import Workdir


@pytest.fixture
def run(trained_workdir, tmp_path):
    return shutil.copytree(trained_workdir, tmp_path / "run")


def test_scores_of_a_read_only_workdir_are_printed_with_a_warning(run, monkeypatch, capsys):
    before = (run / "eval.json").read_bytes()
    monkeypatch.setattr(Workdir, "write_json", lambda *arguments: (_ for _ in ()).throw(OSError(errno.EROFS, "no")))
    assert command("eval", f"--workdir={run}", "--scores=active_units") == 0
    printed = capsys.readouterr()
    assert "active_units" in printed.out and "warning: the scores above could not be written" in printed.err
    assert (run / "eval.json").read_bytes() == before


def test_scores_of_another_split_are_written_beside_those_of_training(run):
    before = (run / "eval.json").read_bytes()
    assert command("eval", f"--workdir={run}", "--split=validation", "--scores=active_units") == 0
    assert (run / "eval.json").read_bytes() == before
    found = json.loads((run / "eval-validation.json").read_text())
    assert found["data_split"] == "validation" and "active_units" in found


def test_a_signal_keeps_the_scores_computed_before_it(run, monkeypatch, capsys):
    monkeypatch.setattr(MMD, "compute", lambda *arguments: os.kill(os.getpid(), signal.SIGINT) or time.sleep(60))
    assert command("eval", f"--workdir={run}", "--scores=active_units", "--scores=mmd") == 128 + signal.SIGINT
    found = json.loads((run / "eval.json").read_text())
    assert "active_units" in found and "mmd" not in found
    assert found["interrupted"] == "before mmd: 1 of 2 scores were computed"
    assert f"written to {run / 'eval.json'}" in capsys.readouterr().out


def test_a_key_names_the_score_that_reports_it_and_output_has_the_same_numbers(run, tmp_path):
    output = tmp_path / "scores.json"
    assert command("eval", f"--workdir={run}", "--scores=elbo,active_units", f"--output={output}") == 0
    found = json.loads(output.read_text())
    assert "elbo" in found and "active_units" in found and "mmd" not in found
    assert found == json.loads((run / "eval.json").read_text())


def test_a_run_without_scores_says_so_on_its_page_until_it_is_scored(run, capsys):
    (run / "eval.json").unlink()
    assert command("train", f"--workdir={run}", "--no_eval") == 0
    assert not (run / "eval.json").exists()
    page = (run / "report.html").read_text()
    assert "Not scored, because of --no_eval." in page and "<th>score</th>" not in page
    assert f"tfdgm eval --workdir={run}" in capsys.readouterr().out
    assert command("eval", f"--workdir={run}", "--scores=active_units") == 0
    assert command("train", f"--workdir={run}") == 0
    page = (run / "report.html").read_text()
    assert "Not scored" not in page and "active_units" in page
