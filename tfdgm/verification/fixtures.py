"""The framework's parts, as a config makes them, for oracles to question."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.configuration.config_files import Packaged
from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import ArraySource
from tfdgm.contracts.network import Network
from tfdgm.evaluation.bounds import Draws
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built, Experiment
from tfdgm.training.trainer import Trainer


def experiment(name: str, *bindings: str) -> Experiment:
    """The experiment of `gin/verify/NAME.gin`, with bindings that change it."""
    return read_config([Packaged(f"verify/{name}.gin")], bindings).experiment()


def build(name: str, *bindings: str) -> Built:
    """The same with its variables."""
    return experiment(name, *bindings).build()


def context(training: bool = False, seed: int = 0) -> Context:
    """What components are told, outside of any run."""
    return Context(root_seed(seed, "verify"), tf.constant(0, tf.int64), training=training)


def rows(experiment: Experiment, split: str) -> np.ndarray:
    """All examples of a split."""
    source = experiment.splits[split]
    return source.gather(np.arange(len(source)))


def draws_over(built: Built, x: np.ndarray, per_example: int) -> Draws:
    """Draws of z for examples x, at most `per_example` at a time: as many as fit the memory are not needed."""
    draws = Draws(built, ArraySource(x.astype(np.float32)))
    draws.decodings = len(x) * per_example
    return draws


def set_affine(network: Network, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Makes a network without hidden layers x -> x kernel + bias."""
    for variable, value in zip(network.trainable_variables(), (kernel, bias), strict=True):
        raw(variable).assign(value)


def train(built: Built) -> None:
    """Makes all steps of the experiment, and leaves no files."""
    with tempfile.TemporaryDirectory(prefix="tfdgm-verify-") as folder:
        Trainer(built, Path(folder), _silent).train()


def only_objective(built: Built) -> Any:
    """The objective of an experiment that has one."""
    (objective,) = built.experiment.objectives.values()
    return objective


def _silent(line: str) -> None:
    """Progress of a small training is nobody's concern."""
