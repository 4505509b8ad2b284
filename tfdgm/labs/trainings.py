"""Train the models of labs: build a packaged config once, and train it repeatedly with one compiled program."""

import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tfdgm.configuration.config_files import Packaged
from tfdgm.configuration.gin_parser import own
from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.callback import Callback, Training
from tfdgm.labs.lab import LabSettings
from tfdgm.runs.experiment import Built, Experiment
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer


class Frames(Callback):
    """Copies all variables at the start and after every loop.

    Attributes:
      states: the variables by step.
    """

    def on_start(self, training: Training) -> None:
        self.training, self.states = training, {training.step: training.built.state.read()}

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        self.states[step] = self.training.built.state.read()


def read_experiment(settings: LabSettings, file: str, *bindings: str) -> Experiment:
    """Return the experiment of a packaged config; it has no variables yet.

    Args:
      settings: of the lab; its seed and bindings override those of the file and `bindings`.
      file: path below `gin/lecture/`.
      bindings: gin statements of the lab.
    """
    seed = f"experiment.seed = {settings.seed}"
    files = [Packaged(f"lecture/{file}")]
    return read_config(files, [*bindings, seed, *settings.bindings], prefer=own).experiment()


def build(settings: LabSettings, file: str, *bindings: str) -> Built:
    """Return the same with initialised variables."""
    return read_experiment(settings, file, *bindings).build()


class Run:
    """Trains one built experiment, any number of times.

    Args:
      settings: of the lab; the files go to its folder.
      built: the experiment.
      name: of the subfolder; every run of a lab has another one.
    """

    def __init__(self, settings: LabSettings, built: Built, name: str) -> None:
        self.built = built
        self.folder: Path = settings.folder / name
        self.watch = Frames()
        self.trainer = Trainer(built, self.folder, settings.say, callbacks=[self.watch])
        self.first = built.state.read()

    def train(self, changed: Mapping[str, np.ndarray] | None = None) -> list[dict[str, float]]:
        """Train from step 0 and return the metrics of every loop.

        Args:
          changed: initial values of variables, by name, that replace those of the experiment.

        Raises:
          KeyboardInterrupt, SystemExit: a signal stopped the training.
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
        """Restore the weights of each frame of the last training in turn.

        Yields:
          The step of the frame.
        """
        for step, state in self.watch.states.items():
            self.built.state.assign(state)
            yield step
