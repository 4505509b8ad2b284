"""Children that are awaited together, played by shell commands."""

import os
import signal
import time

import pytest

from tfdgm.system.children import Children

STUBBORN = "trap '' TERM; touch {}; sleep 60 & wait; sleep 60"


def start(children, key, script):
    children.start(key, ["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]})


def drain(children, condition=lambda: False):
    """Return the exit codes of all children, or of those that end before a condition holds."""
    codes = {}
    while children.running and not condition():
        codes |= children.wait()
    return codes


def test_each_child_is_returned_once_with_its_exit_code():
    with Children() as children:
        for key, script in {"a": "exit 0", "b": "exit 3", "c": "kill -9 $$"}.items():
            start(children, key, script)
        assert drain(children) == {"a": 0, "b": 3, "c": -signal.SIGKILL}


def test_the_first_signal_is_passed_on_and_the_second_kills(tmp_path):
    with Children() as children:
        start(children, "polite", f"trap 'exit 5' TERM; touch {tmp_path}/polite; sleep 60 & wait")
        start(children, "stubborn", STUBBORN.format(tmp_path / "stubborn"))
        drain(children, lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert drain(children, lambda: len(children.running) == 1) == {"polite": 5}
        os.kill(os.getpid(), signal.SIGTERM)
        assert drain(children) == {"stubborn": -signal.SIGKILL}
        assert children.received == [signal.SIGTERM] * 2


def test_stop_kills_a_child_that_outlasts_the_patience(tmp_path):
    with Children(patience=0.3) as children:
        start(children, "stubborn", STUBBORN.format(tmp_path / "stubborn"))
        drain(children, (tmp_path / "stubborn").exists)
        children.stop()
        assert drain(children) == {"stubborn": -signal.SIGKILL}
        start(children, "next", "sleep 0.5")  # the deadline was that of the former child
        assert drain(children) == {"next": 0}


def test_an_error_within_the_block_leaves_no_child_behind(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OSError, match="full"), Children() as children:
        script = f"trap 'sleep 0.2; touch {tmp_path}/saved; exit 0' TERM; touch {tmp_path}/on; sleep 60 & wait"
        start(children, "a", script)
        drain(children, (tmp_path / "on").exists)
        raise OSError("full")
    assert (tmp_path / "saved").exists() and not children.running
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_unknown_program_raises():
    began = time.monotonic()
    with pytest.raises(FileNotFoundError), Children() as children:
        start(children, "sleeping", "sleep 60")
        children.start("unknown", ["/no/such/program"], {})
    assert time.monotonic() - began < 20
