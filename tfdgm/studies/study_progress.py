"""Progress of a study: a line for each cell that ends, and on a terminal a status below them."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tfdgm.runs.metrics_file import last_step
from tfdgm.studies.cells import Cell
from tfdgm.studies.exit_status import DONE, FAILED, PRUNED, REFUSED
from tfdgm.studies.folder import Result
from tfdgm.studies.table import Quantities, number, scores_in_order
from tfdgm.system.console import say, shows_progress
from tfdgm.system.durations import duration

if TYPE_CHECKING:
    from rich.live import Live

_SCORES_IN_A_LINE = 4


class TerminalStatus:
    """Text at the end of a terminal, rewritten in place; without a terminal on standard error it prints nothing."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._text = ""

    def show(self, text: str) -> None:
        """Replace the text; lines that are too long for the terminal are cut."""
        from rich.text import Text

        if text == self._text or not shows_progress():
            return
        if self._live is None:
            self._live = _start_live()
        self._text = text
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)

    def clear(self) -> None:
        """Remove the text from the terminal."""
        if self._live is not None:
            self._live.stop()
        self._live, self._text = None, ""  # a Live that starts again would erase the lines printed since


def _start_live() -> "Live":
    from rich.console import Console
    from rich.live import Live

    # standard output is not redirected, since it may go to a file
    live = Live(
        console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    live.start()
    return live


class StudyProgress:
    """Prints the progress of a study.

    Args:
      total: number of cells to train.
      jobs: number of cells that are trained at a time.
    """

    def __init__(self, total: int, jobs: int) -> None:
        self.total = total
        self.jobs = jobs
        self.ended = 0
        self.durations: list[float] = []
        self.status = TerminalStatus()

    def say(self, line: str) -> None:
        """Print a line above the status."""
        self.status.clear()
        say(line)

    def end(
        self,
        result: Result,
        seconds: float,
        results: Iterable[Result],
        running: Mapping[Cell, float],
        quantities: Quantities,
    ) -> None:
        """Report that a cell has ended.

        Args:
          result: of the cell.
          seconds: duration of its process.
          results: of all cells.
          running: seconds since the start of each running cell.
          quantities: meanings of the cell's scores.
        """
        self.ended += 1
        if result.status in (DONE, FAILED):
            self.durations.append(seconds)
        details = score_line(result.scores, quantities) if result.status == DONE else result.reason.partition("\n")[0]
        self.say(
            f"[{self.ended}/{self.total}] {result.cell}: {result.status} after {duration(seconds)}"
            + (f"; {details}" if details else "")
            + f"  ({self.counts(results, running)})"
        )

    def show(self, results: Iterable[Result], running: Mapping[Cell, float], workdirs: Mapping[Cell, Path]) -> None:
        """Show the counts and the step of every running cell, if there is a terminal."""
        if sys.stderr.isatty():  # otherwise nobody sees what the metrics files would be read for
            steps = [f"  {cell.name} {step_of(workdirs[cell])}" for cell in running]
            self.status.show("\n".join([self.counts(results, running), *steps]))

    def close(self) -> None:
        """Remove the status from the terminal."""
        self.status.clear()

    def counts(self, results: Iterable[Result], running: Mapping[Cell, float]) -> str:
        """Return the number of cells by status, and an estimate of the time left."""
        by_status = Counter(result.status for result in results)
        parts = [f"{by_status[status]} {status}" for status in (DONE, PRUNED, REFUSED, FAILED) if by_status[status]]
        parts += [f"{len(running)} running", f"{self.total - self.ended - len(running)} waiting"]
        left = self.seconds_left(running.values())
        return ", ".join(parts) + (f", about {duration(left)} left" if left and left >= 1 else "")

    def seconds_left(self, elapsed: Iterable[float]) -> float | None:
        """Return the time left if every cell takes the mean of those that ended; None before one has."""
        if not self.durations:
            return None
        mean = sum(self.durations) / len(self.durations)
        elapsed = list(elapsed)
        waiting = self.total - self.ended - len(elapsed)
        return (waiting * mean + sum(max(mean - seconds, 0.0) for seconds in elapsed)) / self.jobs


def score_line(scores: Mapping[str, float], quantities: Quantities) -> str:
    """Return the first of the main scores, as text."""
    names = [name for name in scores_in_order(scores, quantities) if quantities[name].main][:_SCORES_IN_A_LINE]
    return ", ".join(f"{name} {number(scores[name])}" for name in names)


def step_of(workdir: Path) -> str:
    """Return the progress of a run, by the last line of its metrics."""
    step = last_step(workdir / "metrics.jsonl")
    return "starting" if step is None else f"at step {step}"


@contextmanager
def counted(what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows a count of `what` on a terminal; the count is removed at the end of the block."""
    status = TerminalStatus()
    try:
        yield lambda count: status.show(f"{count} {what}")
    finally:
        status.clear()
