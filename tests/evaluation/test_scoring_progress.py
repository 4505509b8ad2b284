"""What a person sees while scores are computed."""

import sys

import pytest

from tfdgm.evaluation import scoring_progress
from tfdgm.evaluation.scoring_progress import ScoringProgress
from tfdgm.system.console import verbosity


@pytest.fixture
def clock(monkeypatch):
    """The time that passes; tests set it."""
    now = [100.0]
    monkeypatch.setattr(scoring_progress.time, "monotonic", lambda: now[0])
    return now


def test_a_long_pass_prints_a_line_every_five_seconds_with_the_time_left(clock, capsys):
    with ScoringProgress() as progress:
        progress.begin("nll_iwae", 2, 16)
        for done, seconds in ((1, 8.0), (2, 9.0), (3, 13.0), (4, 14.0), (10, 20.0)):
            clock[0] = 100.0 + seconds
            progress.advance(done, 10)
    # the first of the 10 parts took 8 s, most of them to compile, so it does not count for the time left
    assert capsys.readouterr().out == (
        "score 2 of 16, nll_iwae: 20 % of a pass, 8 s left\nscore 2 of 16, nll_iwae: 40 % of a pass, 12 s left\n"
    )


def test_short_passes_and_quiet_commands_print_nothing(clock, capsys):
    with ScoringProgress() as progress:
        progress.begin("mmd", 1, 2)
        for done in range(1, 9):
            clock[0] += 0.5
            progress.advance(done, 8)
    with verbosity(quiet=True), ScoringProgress() as progress:
        for done in range(1, 9):
            clock[0] += 50.0
            progress.advance(done, 8)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar_with_the_score_and_it_is_removed(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ScoringProgress() as progress:
        progress.begin("nll_iwae", 2, 16)
        progress.advance(3, 4)
        progress._bar.refresh()
    printed = capsys.readouterr()
    assert "score 2 of 16: nll_iwae" in printed.err and "75 %" in printed.err and printed.out == ""
    assert progress._bar is None
