"""Runs that labs are made of: a packaged config, built once, trained as often as needed by one compiled program."""

import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tfdgm.configuration.config_files import Packaged
from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.callback import Callback, Training
from tfdgm.labs.lab import LabSettings
from tfdgm.runs.experiment import Built, Experiment
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer


class Frames(Callback):
    """Keeps a copy of all variables at the start and after every loop.

    Attributes:
      states: the variables by step.
    """

    def on_start(self, training: Training) -> None:
        self.training, self.states = training, {training.step: training.built.state.read()}

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        self.states[step] = self.training.built.state.read()


def read_experiment(settings: LabSettings, file: str, *bindings: str) -> Experiment:
    """The experiment of a packaged config under `gin/lecture/`; it has no variables yet.

    Args:
      settings: their seed and bindings win over the file's and over `bindings`.
      file: name below `lecture/`.
      bindings: gin statements of the lab.
    """
    seed = f"experiment.seed = {settings.seed}"
    files = [Packaged(f"lecture/{file}")]
    return read_config(files, [*bindings, seed, *settings.bindings]).experiment()


def build(settings: LabSettings, file: str, *bindings: str) -> Built:
    """The same with its variables, at their first values."""
    return read_experiment(settings, file, *bindings).build()


class Run:
    """Trains one built experiment, any number of times.

    Args:
      settings: where its files go.
      built: the experiment.
      name: of its folder; one for each run of a lab.
    """

    def __init__(self, settings: LabSettings, built: Built, name: str) -> None:
        self.built = built
        self.folder: Path = settings.folder / name
        self.watch = Frames()
        self.trainer = Trainer(built, self.folder, settings.say, callbacks=[self.watch])
        self.first = built.state.read()

    def train(self, changed: Mapping[str, np.ndarray] | None = None) -> list[dict[str, float]]:
        """Trains from step 0 and returns the metrics of every loop.

        Args:
          changed: first values of variables, by name, that are not those the experiment was built with.

        Raises:
          KeyboardInterrupt, SystemExit: a signal stopped it.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.built.state.assign({**self.first, **(changed or {})})
        stopped = self.trainer.train().signal
        if stopped == signal.SIGINT:
            raise KeyboardInterrupt
        if stopped is not None:
            raise SystemExit(128 + stopped)
        return read_lines(self.folder / "metrics.jsonl")

    def frames(self) -> Iterator[int]:
        """Goes through the moments of the last training; at each the model has its weights then.

        Yields:
          The step.
        """
        for step, state in self.watch.states.items():
            self.built.state.assign(state)
            yield step
