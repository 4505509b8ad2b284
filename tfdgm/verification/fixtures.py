"""The components that oracles test, built from configs."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.configuration.config_files import Packaged
from tfdgm.configuration.gin_parser import own
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
    """Return the experiment of `gin/verify/NAME.gin`, modified by bindings."""
    return read_config([Packaged(f"verify/{name}.gin")], bindings, prefer=own).experiment()


def build(name: str, *bindings: str) -> Built:
    """Return the experiment with its variables built."""
    return experiment(name, *bindings).build()


def context(training: bool = False, seed: int = 0) -> Context:
    """Return a context outside any run."""
    return Context(root_seed(seed, "verify"), tf.constant(0, tf.int64), training=training)


def rows(experiment: Experiment, split: str) -> np.ndarray:
    """Return all examples of a split."""
    source = experiment.splits[split]
    return source.gather(np.arange(len(source)))


def draws_over(built: Built, x: np.ndarray, per_example: int) -> Draws:
    """Return draws of z for examples x, `per_example` at a time instead of as many as fit into memory."""
    draws = Draws(built, ArraySource(x.astype(np.float32)))
    draws.decodings = len(x) * per_example
    return draws


def set_affine(network: Network, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Set a network without hidden layers to x -> x kernel + bias."""
    for variable, value in zip(network.trainable_variables(), (kernel, bias), strict=True):
        raw(variable).assign(value)


def train(built: Built) -> None:
    """Train for all steps of the experiment, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tfdgm-verify-") as folder:
        Trainer(built, Path(folder), _silent).train()


def only_objective(built: Built) -> Any:
    """Return the single objective of an experiment."""
    (objective,) = built.experiment.objectives.values()
    return objective


def _silent(line: str) -> None:
    """Discard progress messages."""
