"""What the user is told while the matrix runs."""

import sys

import pytest

from tfdgm.studies.cells import Cell
from tfdgm.studies.folder import Result
from tfdgm.studies.study_progress import StudyProgress, in_a_line, step_of

CELLS = [Cell("q", prior, ("o",), 0) for prior in "abcd"]


def test_the_time_left_is_that_of_the_cells_that_ended(capsys):
    results = {cell: Result(cell) for cell in CELLS}
    progress = StudyProgress(total=4, jobs=2)
    assert progress.seconds_left([3.0]) is None
    results[CELLS[0]] = Result(CELLS[0], "done", scores={"elbo": -22.5, "oddity": 1.0, "nll_iwae": 22.25})
    progress.end(results[CELLS[0]], 100.0, results.values(), {CELLS[1]: 40.0})
    # two wait, 100 s each; one has run for 40 s; two at a time
    assert progress.seconds_left([40.0]) == pytest.approx((2 * 100 + 60) / 2)
    assert progress.seconds_left([140.0]) == pytest.approx(2 * 100 / 2)  # longer than the mean: it may end any time
    assert capsys.readouterr().out == (
        "[1/4] q a o seed 0: done after 100 s; nll_iwae 22.25, elbo -22.50"
        "  (1 done, 1 running, 2 waiting, about 2 min left)\n"
    )


def test_a_refusal_says_nothing_of_the_time_that_a_cell_takes(capsys):
    progress = StudyProgress(total=2, jobs=1)
    refused = Result(CELLS[0], "refused", "no meaning\nat all")
    progress.end(refused, 9.0, [refused, Result(CELLS[1])], {})
    assert progress.seconds_left([]) is None
    assert (
        capsys.readouterr().out
        == "[1/2] q a o seed 0: refused after 9 s; no meaning  (1 refused, 0 running, 1 waiting)\n"
    )


def test_a_terminal_has_a_line_with_the_steps_which_is_written_anew_when_it_changes(tmp_path, monkeypatch, capsys):
    progress = StudyProgress(total=1, jobs=1)
    shown = [Result(CELLS[0])], {CELLS[0]: 1.0}, {CELLS[0]: tmp_path}
    progress.show(*shown)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress.show(*shown)
    progress.show(*shown)
    assert capsys.readouterr().err == "\r\x1b[K1 running, 0 waiting: q-a-o-0 starting"
    (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n{"step": 20}\n')
    progress.show(*shown)
    assert capsys.readouterr().err == "\r\x1b[K1 running, 0 waiting: q-a-o-0 at step 20"


def test_the_step_of_a_run_is_that_of_the_last_whole_line_of_its_metrics(tmp_path):
    assert step_of(tmp_path) == "starting"
    (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n{"st')
    assert step_of(tmp_path) == "at step 10"  # the next look sees the other whole
    (tmp_path / "metrics.jsonl").write_text("".join(f'{{"step": {step}}}\n' for step in range(5_000)))
    assert step_of(tmp_path) == "at step 4999"


def test_a_line_has_the_first_main_scores():
    scores = {"rate": 1.0, "oddity": 2.0, "elbo": -3.0, "nll_iwae": 3.5, "marginal_kl": 0.5, "reconstruction": -2.0}
    assert in_a_line(scores) == "nll_iwae 3.50, elbo -3.00, reconstruction -2.00, rate 1.00"
    assert in_a_line({}) == ""
