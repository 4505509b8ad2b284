"""Signals that end a run: recorded by loops that stop at their next boundary, raised as exceptions elsewhere."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Ctrl-C, a request to end, a closed terminal, and Ctrl-\. A run saves its state after each of them.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name))


@contextmanager
def signals_recorded(interruptible: bool = True) -> Iterator[list[int]]:
    """Record the signals received within the block, in the list that it yields.

    Args:
      interruptible: whether a SIGINT after another signal interrupts at once.
    """
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        if interruptible and received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    with _handled_by(note):
        yield received


class Stopped(BaseException):
    """A signal was received. It is a `BaseException`, so that no `except Exception` of a plugin catches it."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"{signal.Signals(number).name}: {message}")
        self.number = number


@contextmanager
def signals_raised(message: str) -> Iterator[None]:
    """Raise `Stopped` with the message if a signal is received within the block."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(number, message)

    with _handled_by(stop):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle the signals that end a run within the block, except those that the process ignores (nohup)."""
    former: dict[int, Any] = {}
    try:
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: a handler not installed by Python
                former[number] = signal.signal(number, handler)
    except ValueError:  # not the main thread: the embedding program handles its signals
        yield
        return
    try:
        yield
    finally:
        for number, old in former.items():
            signal.signal(number, old)
