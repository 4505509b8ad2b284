"""Pages rendered from templates."""

import re
import subprocess
import sys

import jinja2
import pytest

from tfdgm.labs.lab import Lab, LabResult, near
from tfdgm.labs.lab_page import Entry, page
from tfdgm.reporting.html import render
from tfdgm.reporting.run_page import write_report
from tfdgm.runs.workdir import Workdir


def test_a_value_that_is_not_given_raises():
    with pytest.raises(jinja2.UndefinedError, match="entries"):
        render("lab.html", title="labs")


def test_texts_are_escaped_and_pictures_are_inline():
    lab = Lab("right", "1 < 2", "First & last.\n\n<b>", lambda settings: None)
    entry = Entry(lab, LabResult([{"x": 1.5, "y": "<i>"}, {"z": 2}], None, [near("a < b", 1.0, 1.0, 0.1)]), b"png", 2.0)
    text = page([entry])
    for escaped in ("1 &lt; 2", "<p>First &amp; last.</p>", "<p>&lt;b&gt;</p>", "&lt;i&gt;", "a &lt; b"):
        assert escaped in text
    assert 'src="data:image/png;base64,cG5n"' in text
    assert re.findall("<th[^>]*>([xyz])</th>", text) == ["x", "y", "z"]


def test_a_report_names_the_commit_of_each_start_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tfdgm.reporting.run_page.draw_curves", lambda *arguments: b"")
    record = {"seed": 3, "starts": [{"git_commit": commit} for commit in ("abc", "abc", None, "def-dirty")]}
    monkeypatch.setattr(Workdir, "run_record", lambda workdir: record)
    workdir = Workdir(tmp_path)
    workdir.write_json("scores.json", {"elbo": {"unit": "nats per example", "formula": "a < b", "better": "larger"}})
    text = write_report(workdir, {"elbo": -22.123456, "other": 3}, {}).read_text()
    assert "seed 3, git commit abc, then def-dirty." in text
    row = '<td title="a &lt; b">elbo&nbsp;↑</td><td class="number">-22.1235</td><td>nats per example</td>'
    assert row in text and '<td>other</td><td class="number">3</td><td></td>' in text


def test_the_template_engine_is_imported_only_to_write_a_page():
    code = "import sys, tfdgm.cli.matrix, tfdgm.labs.lab_page, tfdgm.reporting.run_page; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
