"""Progress on a terminal as a bar, elsewhere as plain lines."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Shows step, loss, steps per second and the time left."""

    def __init__(self, start: int, steps: int, say: Callable[[str], None]) -> None:
        self.start = start
        self.steps = steps
        self.say = say
        self.bar: Bar | None = None

    def __enter__(self) -> "Progress":
        self.shown = time.monotonic()
        self.first: tuple[int, float] | None = None
        if sys.stderr.isatty():
            columns = (
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("loss {task.fields[loss]}  {task.fields[rate]} steps/s"),
                TimeRemainingColumn(),
            )
            self.bar = Bar(*columns, console=Console(stderr=True))
            self.task = self.bar.add_task("train", total=self.steps, completed=self.start, loss="-", rate="-")
            self.bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        loss, rate = f"{metrics['loss']:.4f}", f"{metrics['steps_per_second']:.0f}"
        if self.bar is not None:
            self.bar.update(self.task, completed=step, loss=loss, rate=rate)
            return
        now = time.monotonic()
        if self.first is None:  # the first loop compiles; it says nothing about the time left
            self.first = (step, now)
        if step < self.steps and now - self.shown < _SECONDS_BETWEEN_LINES:
            return
        self.shown = now
        done, began = self.first
        left = f"{(self.steps - step) * (now - began) / (step - done):.0f} s left" if step > done else "compiled"
        self.say(f"step {step}/{self.steps}  loss {loss}  {rate} steps/s  {left}")
