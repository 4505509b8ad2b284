"""SIGINT and SIGTERM as notes, for work that ends where it can go on from, and as exceptions, for work that cannot."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def signals_noted(interruptible: bool = True) -> Iterator[list[int]]:
    """Within it SIGINT and SIGTERM are only written down, in the list that it gives.

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
    """SIGINT or SIGTERM came; no `except Exception` of a plugin takes it for an error of its own."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"{signal.Signals(number).name}: {message}")
        self.number = number


@contextmanager
def signals_raised(message: str) -> Iterator[None]:
    """Within it SIGINT and SIGTERM raise `Stopped` with the message."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(number, message)

    with _handled_by(stop):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    try:
        old = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: the embedding program handles its signals
        yield
        return
    try:
        yield
    finally:
        for number, former in old.items():
            signal.signal(number, former)
