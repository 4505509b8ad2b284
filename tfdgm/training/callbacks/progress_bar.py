"""Show progress as a bar on a terminal, and as plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tfdgm.contracts.callback import Callback, Training
from tfdgm.system.console import shows_details, shows_progress
from tfdgm.system.durations import duration

_SECONDS_BETWEEN_LINES = 5.0


class ProgressBar(Callback):
    """Shows step, loss, steps per second and the remaining time.

    Args:
      steps: number of steps of the whole run.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.bar: Progress | None = None

    def on_start(self, training: Training) -> None:
        self.training = training
        self.shown = time.monotonic()
        self.first: tuple[int, float] | None = None
        if self.bar is None and shows_progress() and sys.stderr.isatty():
            columns = (
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("loss {task.fields[loss]}  {task.fields[rate]} steps/s"),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.task = self.bar.add_task("train", total=self.steps, completed=training.step, loss="-", rate="-")
            self.bar.start()

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        loss, rate = f"{metrics['loss']:.4f}", f"{metrics['steps_per_second']:.0f}"
        if self.bar is not None:
            self.bar.update(self.task, completed=step, loss=loss, rate=rate)
            return
        now = time.monotonic()
        if self.first is None:  # the first loop compiles, so that its speed does not predict the remaining time
            self.first = (step, now)
        if step < self.steps and now - self.shown < _SECONDS_BETWEEN_LINES and not shows_details():
            return
        self.shown = now
        done, began = self.first
        left = f"{duration((self.steps - step) * (now - began) / (step - done))} left" if step > done else "compiled"
        self.training.say(f"step {step}/{self.steps}  loss {loss}  {rate} steps/s  {left}")

    def on_end(self, step: int) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
