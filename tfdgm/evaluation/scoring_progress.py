"""Show the progress of scoring: a bar with the time left on a terminal, and a line now and then elsewhere."""

import sys
import time
from typing import TYPE_CHECKING

from tfdgm.system.console import say, shows_progress
from tfdgm.system.durations import duration

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_LINES = 5.0


class ScoringProgress:
    """Tells which score is computed, and how much of its current pass over the data is done.

    Use it as a context manager, which removes the bar at its end.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._name, self._number, self._of = "", 0, 0
        self._done = self._total = 0
        self._began = self._said = time.monotonic()

    def __enter__(self) -> "ScoringProgress":
        if shows_progress() and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("scoring", total=None)
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def begin(self, name: str, number: int, of: int) -> None:
        """Tell that a score begins, the `number`-th of all, from 1."""
        self._name, self._number, self._of = name, number, of
        self._done = self._total = 0
        if self._bar is not None:
            self._bar.reset(self._task, total=None, description=f"score {number} of {of}: {name}")

    def advance(self, done: int, total: int) -> None:
        """Tell that `done` of the `total` equal parts of a pass over the data are done."""
        now = time.monotonic()
        new = total != self._total or done < self._done
        self._done, self._total = done, total
        if self._bar is not None:
            if new:
                self._bar.reset(self._task, total=total)
            self._bar.update(self._task, completed=done)
            return
        if new:
            self._began, self._first = now, done  # the first part compiles, so it does not predict the time left
            return
        if done < total and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            left = (total - done) * (now - self._began) / (done - self._first)
            percent = 100 * done // total
            say(f"score {self._number} of {self._of}, {self._name}: {percent} % of a pass, {duration(left)} left")
