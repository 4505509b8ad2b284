"""A third party's score is reported wherever our own are: one cell of a matrix, trained once."""

import csv
import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf
from small import TINY_BINDINGS
from third_party import SCORES, install

FAILED = 'score.failing of odd_scores 1.2 failed: ZeroDivisionError: division by zero (file "'


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """The folder of a matrix of one cell, and what the command printed."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("studies") / "matrix"
    install(site, "odd_scores", "tfdgm.score", {"closeness": "Closeness", "failing": "Failing"}, SCORES)
    environment = {**os.environ, "PYTHONPATH": str(site), "TF_CPP_MIN_LOG_LEVEL": "2"}
    choice = ["--posteriors=gaussian", "--priors=gaussian", "--objectives=elbo", f"--gin_bindings={TINY_BINDINGS}"]
    command = [sys.executable, "-m", "tfdgm", "matrix", f"--workdir={folder}", *choice]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def cell(matrix):
    return matrix[0] / "cells" / "gaussian-gaussian-elbo-0"


@pytest.fixture(scope="module")
def scores(cell):
    return json.loads((cell / "eval.json").read_text())


pytestmark = pytest.mark.slow


def test_eval_json_has_its_numbers_after_our_own_and_its_note(scores):
    names = list(scores)
    assert names[names.index("generation_samples") + 1 :][:2] == ["closeness", "closeness_pairs"]
    assert scores["closeness_pairs"] == 300
    assert 0 < scores["closeness"] < 1  # pixels are in [0, 1]
    assert scores["closeness_note"] == "the pairs are arbitrary"


def test_its_meaning_and_package_stand_beside_the_scores(cell):
    meanings = json.loads((cell / "scores.json").read_text())
    assert meanings["closeness"]["plugin"] == "score.closeness of odd_scores 1.2"
    assert (meanings["closeness"]["unit"], meanings["closeness"]["better"]) == ("units of x", "smaller")


def test_a_failing_score_is_named_and_the_others_are_there(scores):
    assert scores["failing_note"].startswith(FAILED)
    assert "nothing" not in scores and scores["elbo"] < 0


def test_every_validation_logs_it(cell):
    lines = [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]
    validated = {line["step"]: line["validation_closeness"] for line in lines if "validation_closeness" in line}
    assert list(validated) == [20, 40]
    assert validated[20] != validated[40]  # of other weights
    assert all("validation_elbo" in line for line in lines if line["step"] in validated)


def test_tensorboard_has_it_too(cell):
    events = [
        event
        for path in (cell / "events/validation").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
    ]
    assert [e.step for e in events for value in e.summary.value if value.tag == "closeness"] == [20, 40]


def test_the_log_has_each_note_of_the_validations_once(matrix):
    log = (matrix[0] / "logs" / "gaussian-gaussian-elbo-0.log").read_text()
    assert log.count("validation: closeness_note: the pairs are arbitrary\n") == 1
    assert log.count(f"validation: failing_note: {FAILED}") == 1


def test_the_page_of_the_run_has_direction_unit_and_curve(cell, scores):
    page = (cell / "report.html").read_text()
    row = f'closeness&nbsp;↓</td><td class="number">{scores["closeness"]:.4f}</td><td>units of x</td>'
    assert row in page
    assert "failing_note" in page


def test_the_tables_of_the_matrix_have_it(matrix, scores):
    folder, printed = matrix
    (row,) = csv.DictReader((folder / "matrix.csv").open())
    assert float(row["closeness"]) == scores["closeness"] and row["closeness_pairs"] == "300"
    head = (folder / "matrix.md").read_text().partition("\n")[0]
    assert head.endswith("| frechet_distance | closeness |")
    page = (folder / "index.html").read_text()
    assert "closeness&nbsp;↓<br><small>units of x</small>" in page and "closeness_pairs" not in page
    assert "elbo -" in printed
