"""Processes that start, fail and stop together, played by shell commands."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tfdgm.system.supervisor import LOST, supervise


def shell(script):
    return ["/bin/sh", "-c", script]


def run(*scripts, max_restarts=0, patience=5.0):
    """Return the exit code and the printed lines."""
    lines = []
    environments = [{"PATH": os.environ["PATH"], "NUMBER": str(number)} for number in range(len(scripts))]
    code = supervise([shell(script) for script in scripts], environments, max_restarts, lines.append, patience)
    return code, lines


def test_all_done_is_done():
    assert run("exit 0", "sleep 0.2") == (0, [])


@pytest.mark.parametrize("code", [1, 2])
def test_final_exit_codes_are_not_restarted(code):
    assert run(f"exit {code}", "sleep 60", max_restarts=5) == (code, [])


def test_after_a_crash_all_are_restarted_each_in_its_environment(tmp_path):
    start = f"echo $NUMBER >> {tmp_path}/starts; "
    both = f"while [ $(wc -l < {tmp_path}/starts) -lt 2 ]; do sleep 0.05; done; "
    crash = f"if [ ! -e {tmp_path}/crashed ]; then {both} touch {tmp_path}/crashed; kill -9 $$; fi"
    wait = f"while [ ! -e {tmp_path}/crashed ]; do sleep 0.05; done; sleep 0.3"
    code, lines = run(start + crash, start + wait, max_restarts=2)
    assert code == 0
    assert lines == ["process 0 of 2 was killed by SIGKILL; restarting, 1 of at most 2"]
    assert sorted((tmp_path / "starts").read_text().split()) == ["0", "0", "1", "1"]


def test_the_crash_is_named_and_not_the_losses_that_follow_from_it():
    code, lines = run(f"sleep 3; exit {LOST}", "kill -11 $$")
    assert code == 128 + signal.SIGSEGV
    assert lines == ["process 1 of 2 was killed by SIGSEGV; it was restarted 0 time(s), the limit set by "
                    "--max_restarts"]  # fmt: skip


def test_restarts_are_bounded(tmp_path):
    code, lines = run(f"echo . >> {tmp_path}/starts; exit 7", max_restarts=2)
    assert code == 7 and len((tmp_path / "starts").read_text().split()) == 3
    assert [line.split(";")[0] for line in lines] == ["the process ended with exit code 7"] * 3


def test_a_process_that_does_not_stop_is_killed():
    began = time.monotonic()
    assert run("exit 9", "trap '' TERM; sleep 60 & wait; sleep 60", patience=0.5)[0] == 9
    assert time.monotonic() - began < 20


def test_a_signal_is_passed_on_and_nothing_is_restarted(tmp_path):
    program = (
        "import signal, sys, time; from tfdgm.system.supervisor import supervise; "
        f"sys.exit(supervise([['/bin/sh', '-c', 'trap \"touch {tmp_path}/asked; exit 143\" TERM; "
        f"touch {tmp_path}/ready; sleep 60 & wait']], [{{}}], 5, print))"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    when_ready = threading.Event()
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        when_ready.wait(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert (tmp_path / "asked").exists()
