"""Child processes that are awaited together, and get the signals that end this process."""

import math
import signal
import subprocess
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from tfdgm.system.processes import start
from tfdgm.system.signals import signals_recorded

Key = TypeVar("Key", bound=Hashable)

_POLL_SECONDS = 0.1


class Children(Generic[Key]):
    """The running child processes, each with a key; use it as a context manager, which leaves none of them behind.

    Within the block the first signal that would end this process is passed on, so that every child saves and ends;
    a second one kills them. Leaving the block stops those that still run: SIGTERM, and SIGKILL after `patience`.

    Args:
      patience: seconds between `stop` and SIGKILL.

    Attributes:
      running: the processes that have not been returned by `wait`.
      received: the signals that this process got within the block.
    """

    def __init__(self, patience: float = math.inf) -> None:
        self.patience = patience
        self.running: dict[Key, subprocess.Popen] = {}
        self.received: list[int] = []
        self._passed_on = 0
        self._deadline = math.inf

    def __enter__(self) -> "Children[Key]":
        self._recording = signals_recorded(interruptible=False)
        self.received = self._recording.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        try:
            self.stop()
            while self.running:
                self.wait()
        finally:
            self._recording.__exit__(*exception)

    def start(self, key: Key, command: Sequence[str], environment: Mapping[str, str], **streams: Any) -> None:
        """Start a child.

        Args:
          key: identifies it; no running child may have the same.
          command: program and arguments.
          environment: all of its variables.
          **streams: `stdin`, `stdout` and `stderr` as for `subprocess.Popen`.
        """
        self.running[key] = start(command, environment, **streams)

    def stop(self) -> None:
        """Ask every child to end, unless a signal has already done so, and kill those that run after `patience`."""
        self._deadline = time.monotonic() + self.patience
        if not self._passed_on:
            self._signal(signal.SIGTERM)

    def stop_one(self, key: Key) -> None:
        """Ask one child to end."""
        process = self.running.get(key)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)

    def wait(self) -> dict[Key, int]:
        """Wait a moment, pass on new signals, and return the exit codes of the children that have ended since."""
        time.sleep(_POLL_SECONDS)
        if len(self.received) > self._passed_on:
            self._signal(signal.SIGKILL if self._passed_on else self.received[0])
            self._passed_on = len(self.received)
        if time.monotonic() > self._deadline:  # a child that hangs, or is frozen
            self._signal(signal.SIGKILL)
        codes = {key: process.poll() for key, process in self.running.items()}
        ended = {key: code for key, code in codes.items() if code is not None}
        for key in ended:
            del self.running[key]
        if not self.running:
            self._deadline = math.inf
        return ended

    def _signal(self, number: int) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(number)
