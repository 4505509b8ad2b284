"""Show progress as a bar on a terminal or in a notebook, and as plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tfdgm.contracts.callback import Callback, Training
from tfdgm.system.console import shows_details, shows_progress
from tfdgm.system.durations import duration

_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BETWEEN_UPDATES = 0.1


class ProgressBar(Callback):
    """Shows step, loss, steps per second and the remaining time.

    Args:
      steps: number of steps of the whole run.
      lines: whether to print a line every five seconds where there is no bar, for the log of a job; else only the last.
    """

    def __init__(self, steps: int, lines: bool = True) -> None:
        self.steps = steps
        self.lines = lines
        self.bar: Progress | None = None
        self.cell: Any = None  # the place of the bar in a notebook

    def on_start(self, training: Training) -> None:
        self.training = training
        self.shown = time.monotonic()
        self.first: tuple[int, float] | None = None
        console = Console(stderr=True)
        if self.bar is None and shows_progress() and (console.is_jupyter or sys.stderr.isatty()):
            columns = (
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("loss {task.fields[loss]}  {task.fields[rate]} steps/s"),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=console)
            self.task = self.bar.add_task("train", total=self.steps, completed=training.step, loss="-", rate="-")
            if console.is_jupyter:
                self.cell = _new_cell(self.bar)
            else:
                self.bar.start()

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        loss, rate = f"{metrics['loss']:.4f}", f"{metrics['steps_per_second']:.0f}"
        if self.bar is not None:
            self.bar.update(self.task, completed=step, loss=loss, rate=rate)
            self._show_in_cell()
            return
        now = time.monotonic()
        if self.first is None:  # the first loop compiles, so that its speed does not predict the remaining time
            self.first = (step, now)
        if step < self.steps and (not self.lines or now - self.shown < _SECONDS_BETWEEN_LINES) and not shows_details():
            return
        self.shown = now
        done, began = self.first
        left = f"{duration((self.steps - step) * (now - began) / (step - done))} left" if step > done else "compiled"
        self.training.say(f"step {step}/{self.steps}  loss {loss}  {rate} steps/s  {left}")

    def _show_in_cell(self, final: bool = False) -> None:
        """Update the bar in the notebook, at most ten times a second."""
        now = time.monotonic()
        if self.cell is not None and self.bar is not None and (final or now - self.shown >= _SECONDS_BETWEEN_UPDATES):
            self.cell.update(_table(self.bar))
            self.shown = now

    def on_end(self, step: int) -> None:
        if self.bar is not None:
            self._show_in_cell(final=True)
            self.bar.stop()
            self.bar = self.cell = None


def _new_cell(bar: Progress) -> Any:
    """Show a bar in the notebook; return a handle that updates it. Rich itself would require ipywidgets for that."""
    from IPython.display import display

    return display(_table(bar), display_id=True)


def _table(bar: Progress) -> Table:
    """Return the bar as it is now, which a notebook renders."""
    return bar.make_tasks_table(bar.tasks)
