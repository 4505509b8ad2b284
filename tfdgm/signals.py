"""SIGINT and SIGTERM as notes, for work that ends where it can go on from."""

import signal
from collections.abc import Iterator
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

    try:
        old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: the embedding program handles its signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
