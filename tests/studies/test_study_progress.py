"""What the user sees while the matrix runs."""

import sys

import pytest

from tfdgm import Quantity
from tfdgm.studies.combinations import MatrixCell
from tfdgm.studies.folder import Result
from tfdgm.studies.study_progress import StudyProgress, counted, score_line, step_of

#: The escape sequence that erases a line of a terminal.
ERASE_LINE = "\x1b[2K"
QUANTITIES = {name: Quantity("nats", "", main=True) for name in ("elbo", "rate", "nll_iwae")} | {
    name: Quantity("nats", "") for name in ("marginal_kl", "reconstruction")
}
CELLS = [MatrixCell("q", prior, ("o",), 0) for prior in "abcd"]


def test_the_time_left_is_estimated_from_the_cells_that_ended(capsys):
    results = {cell: Result(cell) for cell in CELLS}
    progress = StudyProgress(total=4, jobs=2)
    assert progress.seconds_left([3.0]) is None
    results[CELLS[0]] = Result(CELLS[0], "done", scores={"elbo": -22.5, "oddity": 1.0, "nll_iwae": 22.25})
    progress.end(results[CELLS[0]], 100.0, results.values(), {CELLS[1]: 40.0}, QUANTITIES)
    # two wait, 100 s each; one has run for 40 s; two at a time
    assert progress.seconds_left([40.0]) == pytest.approx((2 * 100 + 60) / 2)
    assert progress.seconds_left([140.0]) == pytest.approx(2 * 100 / 2)  # longer than the mean: it may end any time
    assert capsys.readouterr().out == (
        "[1/4] q a o seed 0: done after 1 min 40 s; elbo -22.50, nll_iwae 22.25"
        "  (1 done, 1 running, 2 waiting, about 2 min 10 s left)\n"
    )


def test_a_refusal_does_not_count_for_the_time_left(capsys):
    progress = StudyProgress(total=2, jobs=1)
    refused = Result(CELLS[0], "refused", "no meaning\nat all")
    progress.end(refused, 9.0, [refused, Result(CELLS[1])], {}, {})
    assert progress.seconds_left([]) is None
    assert (
        capsys.readouterr().out
        == "[1/2] q a o seed 0: refused after 9 s; no meaning  (1 refused, 0 running, 1 waiting)\n"
    )


def pretend_terminal(monkeypatch):
    """Make standard error a terminal; not a fixture, since `capsys` replaces the stream after the setup of a test."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def test_without_a_terminal_only_whole_lines_are_printed(tmp_path, capsys):
    progress = StudyProgress(total=1, jobs=1)
    progress.show([Result(CELLS[0])], {CELLS[0]: 1.0}, {CELLS[0]: tmp_path})
    with counted("of 3 checked") as show:
        show(2)
    progress.say("a line")
    progress.close()
    assert capsys.readouterr() == ("a line\n", "")


def test_a_terminal_shows_the_steps_in_a_status_that_is_rewritten_in_place(tmp_path, monkeypatch, capsys):
    pretend_terminal(monkeypatch)
    progress = StudyProgress(total=1, jobs=1)
    shown = [Result(CELLS[0])], {CELLS[0]: 1.0}, {CELLS[0]: tmp_path}
    progress.show(*shown)
    progress.show(*shown)
    text = capsys.readouterr().err
    assert text.count("1 running, 0 waiting") == text.count("  q-a-o-0 starting") == 1
    (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n{"step": 20}\n')
    progress.show(*shown)
    assert "  q-a-o-0 at step 20" in capsys.readouterr().err
    progress.say("a line")
    printed = capsys.readouterr()
    assert printed.out == "a line\n" and printed.err.rpartition("at step 20")[2].count(ERASE_LINE) == 2
    progress.show(*shown)
    below = capsys.readouterr().err
    assert "at step 20" in below and ERASE_LINE not in below  # the line stays


def test_a_count_is_cut_at_the_width_of_the_terminal_and_removed_at_the_end(monkeypatch, capsys):
    pretend_terminal(monkeypatch)
    with counted("x" * 100) as show:
        show(2)
    text = capsys.readouterr().err
    assert f"2 {'x' * 57}…" in text and ERASE_LINE in text.partition("…")[2]


def test_the_step_of_a_run_is_read_from_the_last_complete_line_of_its_metrics(tmp_path):
    assert step_of(tmp_path) == "starting"
    (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n{"st')
    assert step_of(tmp_path) == "at step 10"  # the next look sees the other whole
    (tmp_path / "metrics.jsonl").write_text("".join(f'{{"step": {step}}}\n' for step in range(5_000)))
    assert step_of(tmp_path) == "at step 4999"


def test_a_line_has_the_first_main_scores_in_the_order_of_tables():
    scores = {"rate": 1.0, "oddity": 2.0, "elbo": -3.0, "nll_iwae": 3.5, "marginal_kl": 0.5, "reconstruction": -2.0}
    assert score_line(scores, QUANTITIES) == "elbo -3.00, rate 1.00, nll_iwae 3.50"
    many = dict.fromkeys("abcdef", Quantity("", "", main=True))
    assert score_line(dict.fromkeys(many, 1.0), many) == "a 1.00, b 1.00, c 1.00, d 1.00"
    assert score_line({}, QUANTITIES) == ""
