"""The bar of a notebook."""

import pytest
from rich.console import Console
from rich.table import Table
from small import silent

from tfdgm.training.callbacks import progress_bar
from tfdgm.training.callbacks.progress_bar import ProgressBar


class Cell:
    """The handle of what a notebook displays."""

    def __init__(self) -> None:
        self.shown = []

    def update(self, shown) -> None:
        self.shown.append(shown)


class Training:
    step = 0
    say = staticmethod(silent)


@pytest.mark.parametrize("seconds, updates", [(0.0, 4), (60.0, 1)])
def test_a_notebook_shows_one_bar_that_ends_at_the_last_step(monkeypatch, seconds, updates):
    cell = Cell()
    monkeypatch.setattr(progress_bar, "Console", lambda stderr: Console(stderr=stderr, force_jupyter=True))
    monkeypatch.setattr(progress_bar, "_new_cell", lambda bar: cell)
    monkeypatch.setattr(progress_bar, "_SECONDS_BETWEEN_UPDATES", seconds)
    bar = ProgressBar(30)
    bar.on_start(Training())
    for step in (10, 20, 30):
        bar.on_loop_end(step, {"loss": 1.5, "steps_per_second": 100.0})
    bar.on_end(30)
    assert len(cell.shown) == updates and all(isinstance(shown, Table) for shown in cell.shown)
    console = Console(width=100)
    with console.capture() as capture:
        console.print(cell.shown[-1])
    assert "30/30" in capture.get() and "loss 1.5000  100 steps/s" in capture.get()
