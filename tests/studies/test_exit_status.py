"""The status of a training process that has ended."""

import pytest

from tfdgm.studies.exit_status import exit_status, last_message, numeric_scores

OWN = "step 10/40\ntfdgm: 'x' is refused;\n  because of y\n"
TRACE = """tfdgm: an earlier message
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    raise ValueError("it was never tested")
ValueError: it was never tested
and a second line of it
"""


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def begin(workdir, steps=0):
    """Write the files of a run that ended at step `steps`."""
    (workdir / "checkpoints" / "step-0.npz").touch()
    (workdir / "metrics.jsonl").write_text('{"step": 10}\n' * (steps // 10))


def finish(workdir, eval_json='{"elbo": -1.5}'):
    begin(workdir, 40)
    (workdir / "eval.json").write_text(eval_json)
    (workdir / "report.html").touch()


def status_of(*arguments, stopped=False):
    ended = exit_status(*arguments, stopped=stopped)
    return ended.status, ended.reason


def test_a_run_is_done_if_it_exits_with_0_and_has_scores_and_report(workdir):
    assert status_of(0, "", workdir) == ("failed", "it ended without scores and report")
    finish(workdir)
    assert status_of(0, "", workdir) == ("done", "")


def test_exit_code_2_is_a_refusal_before_the_first_step_and_a_failure_after_it(workdir):
    assert status_of(2, OWN, workdir)[0] == "failed"  # it could not even save: nothing was wrong with the combination
    begin(workdir)
    assert status_of(2, OWN, workdir) == ("refused", "'x' is refused;\n  because of y")
    begin(workdir, 10)
    assert status_of(2, OWN, workdir) == ("failed", "'x' is refused;\n  because of y")


def test_a_failure_is_explained_by_the_last_message(workdir):
    assert status_of(1, TRACE, workdir) == ("failed", "ValueError: it was never tested")
    assert status_of(3, "", workdir) == ("failed", "exit code 3")
    assert status_of(-9, "step 10/40\n", workdir) == ("failed", "killed by SIGKILL: step 10/40")
    assert status_of(143, "", workdir) == ("failed", "killed by SIGTERM")


def test_a_run_that_a_signal_stopped_is_unfinished(workdir):
    for code, name in [(143, "SIGTERM"), (-15, "SIGTERM"), (130, "SIGINT"), (-9, "SIGKILL")]:
        assert status_of(code, "", workdir, stopped=True) == ("unfinished", f"stopped by {name}")
    assert status_of(1, TRACE, workdir, stopped=True)[0] == "failed"
    finish(workdir)
    assert status_of(0, "", workdir, stopped=True) == ("done", "")


@pytest.mark.parametrize(
    "output, message",
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        ("\x1b[1mbold\x1b[0m", "bold"),
        (OWN, "'x' is refused;\n  because of y"),
        (TRACE, "ValueError: it was never tested"),
        (TRACE + OWN, "'x' is refused;\n  because of y"),
        ("Traceback (most recent call last):\n  cut off", "  cut off".strip()),
    ],
)
def test_the_last_message_is_that_of_tfdgm_or_of_the_traceback_or_the_last_line(output, message):
    assert last_message(output) == message


def test_scores_are_the_numbers_without_the_seed(workdir):
    finish(workdir, '{"elbo": -1.5, "active_units": 8, "seed": 3, "data_split": "test", "flag": true, "bad": NaN}')
    scores = numeric_scores(workdir)
    assert scores.pop("bad") != 0
    assert scores == {"elbo": -1.5, "active_units": 8}
