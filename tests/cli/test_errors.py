"""Errors that are no fault of the program are one message and an exit code."""

import resource
import signal

import pytest
from small import command

from tfdgm.cli import main as commands
from tfdgm.system import runtime
from tfdgm.system.signals import Stopped


class ResourceExhaustedError(Exception):
    """Replaces the error of TensorFlow, which is not imported here."""

    message = "OOM when allocating tensor\nwith more lines"


@pytest.mark.parametrize(
    "error, code, message",
    [
        (MemoryError(), 2, "out of memory or disk: an allocation failed; files saved earlier are kept"),
        (ResourceExhaustedError(), 2, "out of memory or disk: OOM when allocating tensor; files saved"),
        (OSError(28, "No space left on device", "run/eval.json"), 2, "run/eval.json: No space left on device"),
        (PermissionError(13, "Permission denied", "x"), 2, "x: Permission denied"),
        (OSError(28, "No space left on device"), 2, "the output could not be written: No space left on device"),
        (Stopped(signal.SIGHUP, "stopped"), 129, "SIGHUP: stopped"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_an_error_of_the_machine_is_reported_in_one_message(monkeypatch, capfd, error, code, message):
    def fail(argv):
        raise error

    monkeypatch.setattr(commands, "_main", fail)
    assert command("train") == code
    printed = capfd.readouterr().err
    assert (printed == "" if not message else printed.startswith(f"tfdgm: {message}")) and printed.count("\n") <= 1


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(commands, "_main", lambda argv: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command("train")


def test_a_small_limit_of_address_space_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (3 << 30, -1))
    assert command("train", "--dry_run") == 2
    assert "may use 3.0 GiB of address space (ulimit -v)" in capsys.readouterr().err
    monkeypatch.setattr(resource, "getrlimit", lambda which: (runtime.LEAST_ADDRESS_SPACE, -1))
    runtime._check_address_space()
