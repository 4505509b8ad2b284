"""The scores as a file of JSON, CSV, Markdown or LaTeX."""

import csv
import json
from pathlib import Path

import pytest

from tfdgm.cli.score_file import check_score_file, write_scores
from tfdgm.contracts.quantity import Quantity
from tfdgm.errors import UserError

SCORES = {"step": 7, "elbo": -1 / 3, "active_units": 2, "num_examples": 9, "data_split": "test", "mmd_note": "a | b"}
QUANTITIES = {"elbo": Quantity("nats | x_1", "", "larger")}


def written(folder: Path, name: str) -> str:
    write_scores(folder / name, SCORES, QUANTITIES)
    return (folder / name).read_text()


def test_json_is_the_object_of_eval_json(tmp_path):
    assert json.loads(written(tmp_path, "a.json")) == SCORES


def test_csv_has_a_row_for_each_number_with_every_digit(tmp_path):
    header, *rows = csv.reader(written(tmp_path, "a.csv").splitlines())
    assert header == ["score", "value", "better", "unit"]
    assert [row[0] for row in rows] == ["elbo", "active_units"]
    assert float(rows[0][1]) == -1 / 3 and rows[0][2:] == ["larger", "nats | x_1"]


def test_markdown_and_latex_escape_what_would_break_the_table(tmp_path):
    assert "| elbo | -0.3333 | larger | nats \\| x_1 |" in written(tmp_path, "a.md")
    text = written(tmp_path, "a.tex")
    assert "elbo & -0.3333 & larger & nats | x\\_1 \\\\" in text and "active\\_units & 2 &" in text


@pytest.mark.parametrize(
    "name, message",
    [
        ("a.xlsx", "must name a .json, .csv, .md or .tex file"),
        ("missing/a.csv", "no folder"),
        ("run/eval.json", "file of the run itself"),
        ("run/kept.md", "file of the run itself"),
        ("folder.csv", "is a folder"),
    ],
)
def test_a_file_that_cannot_or_must_not_be_written_is_refused(tmp_path, name, message):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "kept.md").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match=message):
        check_score_file(tmp_path / name, tmp_path / "run")
    check_score_file(tmp_path / "run" / "new.csv", tmp_path / "run")
