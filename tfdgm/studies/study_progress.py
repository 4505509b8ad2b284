"""What the user sees while the matrix runs: a line for each cell that ends, and on a terminal one that counts."""

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tfdgm.runs.metrics_file import last_step
from tfdgm.studies.cells import Cell
from tfdgm.studies.exit_status import DONE, FAILED, REFUSED
from tfdgm.studies.folder import Result
from tfdgm.studies.table import SCORES, number

_SCORES_IN_A_LINE = 4


class StudyProgress:
    """Says how far the matrix is."""

    def __init__(self, total: int, jobs: int) -> None:
        self.total = total
        self.jobs = jobs
        self.ended = 0
        self.durations: list[float] = []
        self.shown = ""

    def say(self, line: str) -> None:
        """Prints a line above the counts."""
        _rewrite("")
        self.shown = ""
        print(line, flush=True)

    def end(self, result: Result, seconds: float, results: Iterable[Result], running: Mapping[Cell, float]) -> None:
        """Tells that a cell has ended."""
        self.ended += 1
        if result.status in (DONE, FAILED):
            self.durations.append(seconds)
        first = result.reason.partition("\n")[0]
        told = first if result.status != DONE else in_a_line(result.scores)
        self.say(
            f"[{self.ended}/{self.total}] {result.cell}: {result.status} after {seconds:.0f} s"
            + (f"; {told}" if told else "")
            + f"  ({self.counts(results, running)})"
        )

    def show(self, results: Iterable[Result], running: Mapping[Cell, float], workdirs: Mapping[Cell, Path]) -> None:
        """On a terminal, rewrites the line that counts, with the step of every running cell."""
        if sys.stderr.isatty():
            steps = ", ".join(f"{cell.name} {step_of(workdirs[cell])}" for cell in running)
            line = f"{self.counts(results, running)}: {steps}"
            if line != self.shown:
                _rewrite(line)
                self.shown = line

    def close(self) -> None:
        """Leaves the terminal's line empty."""
        _rewrite("")

    def counts(self, results: Iterable[Result], running: Mapping[Cell, float]) -> str:
        """How many cells are how, and how long the rest may take."""
        by_status = Counter(result.status for result in results)
        parts = [f"{by_status[status]} {status}" for status in (DONE, REFUSED, FAILED) if by_status[status]]
        parts += [f"{len(running)} running", f"{self.total - self.ended - len(running)} waiting"]
        left = self.seconds_left(running.values())
        return ", ".join(parts) + (f", about {_duration(left)} left" if left and left >= 1 else "")

    def seconds_left(self, elapsed: Iterable[float]) -> float | None:
        """The time that the rest takes if each cell takes the mean of those that ended; None before one has."""
        if not self.durations:
            return None
        mean = sum(self.durations) / len(self.durations)
        elapsed = list(elapsed)
        waiting = self.total - self.ended - len(elapsed)
        return (waiting * mean + sum(max(mean - seconds, 0.0) for seconds in elapsed)) / self.jobs


def in_a_line(scores: Mapping[str, float]) -> str:
    """The first main scores that there are."""
    names = [name for name in SCORES if name in scores][:_SCORES_IN_A_LINE]
    return ", ".join(f"{name} {number(scores[name])}" for name in names)


def step_of(workdir: Path) -> str:
    """How far a run is, by the last line of its metrics."""
    step = last_step(workdir / "metrics.jsonl")
    return "starting" if step is None else f"at step {step}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


@contextmanager
def counted(what: str) -> Iterator[Callable[[int], None]]:
    """Gives what rewrites a line with a count of `what`; it says nothing where there is no terminal."""

    def tell(number: int) -> None:
        _rewrite(f"{number} {what}")

    try:
        yield tell
    finally:
        _rewrite("")


def _rewrite(line: str) -> None:
    """Replaces the terminal's last line."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        print(f"\r\x1b[K{line[: width - 1]}", end="", file=sys.stderr, flush=True)
