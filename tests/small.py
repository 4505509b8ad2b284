"""Experiments that build in a moment, and components for tests."""

import os
import signal
import time

import keras
import numpy as np
import tensorflow as tf
from tfdgm_data.digits import Digits
from tfdgm_likelihoods.bernoulli import Bernoulli
from tfdgm_likelihoods.gaussian import Gaussian as GaussianLikelihood
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_posteriors.gaussian import Gaussian as GaussianPosterior
from tfdgm_priors.gaussian import Gaussian as GaussianPrior

from tfdgm import ArraySource, Callback, Context, Data, DataSpec, Loss, Objective, experiment
from tfdgm.cli.main import main
from tfdgm.numerics.randomness import fold, root_seed

#: A run of the packaged digits config that takes seconds.
TINY_BINDINGS = """
steps = 40
experiment.steps_per_loop = 10
experiment.batch_size = 32
experiment.latent_size = 4
experiment.validate_every = 20
network.mlp.hidden = (32,)
"""


class SignalAt(Callback):
    """Sends this process a SIGTERM after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_loop_end(self, step, metrics):
        if step == self.step:
            self.at = time.monotonic()
            os.kill(os.getpid(), signal.SIGTERM)


def silent(line: str) -> None:
    """A `say` for trainers under test."""


def command(*arguments) -> int:
    """Run `tfdgm ARGUMENTS` in this process; return its exit code."""
    return main([str(argument) for argument in arguments])


class Points(Data):
    """Given float32 rows: the first 60 % train, the last 40 % test; no validation, which would cost a compilation."""

    def __init__(self, *, rows: np.ndarray) -> None:
        self.rows = rows.astype(np.float32)
        self.spec = DataSpec(shape=self.rows.shape[1:])

    def splits(self):
        first = int(0.6 * len(self.rows))
        return {"train": ArraySource(self.rows[:first]), "test": ArraySource(self.rows[first:])}


def normal_rows(count: int = 100, size: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(count, size).astype(np.float32)


def points_experiment(**changes):
    """A VAE with affine encoder and decoder on 100 points in R^3, with latents in R^2; not built."""
    settings = {
        "data": Points(rows=normal_rows()),
        "prior": GaussianPrior(),
        "likelihood": GaussianLikelihood(scale=0.5),
        "posterior": GaussianPosterior(),
        "encoder": MLP(hidden=()),
        "decoder": MLP(hidden=()),
        "objectives": [ELBO()],
        "latent_size": 2,
        "steps": 60,
        "batch_size": 20,
        "steps_per_loop": 10,
        "checkpoint_seconds": 0.0,
        "optimizer": keras.optimizers.Adam(1e-2),
    }
    return experiment(**{**settings, **changes})


def digits_experiment(**changes):
    """A VAE on the digits with one hidden layer of 32."""
    settings = {
        "data": Digits(),
        "likelihood": Bernoulli(),
        "encoder": MLP(hidden=(32,)),
        "decoder": MLP(hidden=(32,)),
        "latent_size": 4,
        "batch_size": 32,
        "optimizer": keras.optimizers.Adam(1e-3),
    }
    return points_experiment(**{**settings, **changes})


def context(seed: int = 0, step=0, **changes) -> Context:
    """A context outside a run; `step` may be a tensor."""
    return Context(fold(root_seed(seed, "test"), step), tf.cast(step, tf.int64), **changes)


class MeanGame(Objective):
    """A game in which a critic f maximises E f(x) - E f(g(z)) - E f^2, and the model maximises E f(g(z))."""

    def __init__(self, *, network, moves: int = 3, optimizer=None) -> None:
        self.network = network
        self.critic_steps = moves
        self.optimizer = optimizer or keras.optimizers.Adam(1e-2)

    trains_encoder = False

    def build(self, context) -> None:
        self.network.build(context.data.shape, (), context.within("critic"))

    def model_loss(self, forward, context) -> Loss:
        fake = self.network(forward.generated, context)
        return Loss(-fake, {"fake": fake})

    def adversary_loss(self, forward, context) -> Loss:
        real, fake = self.network(forward.x, context), self.network(forward.generated, context)
        return Loss(fake - real + tf.square(real) + tf.square(fake), {"real": real})


def gan_experiment(**changes):
    """A GAN on the points: no posterior, a critic with 8 hidden units and three updates a step."""
    settings = {"posterior": None, "encoder": None, "objectives": [MeanGame(network=MLP(hidden=(8,)))]}
    return points_experiment(**{**settings, **changes})


def assert_same_tensors(first, second, atol: float = 0.0) -> None:
    """Compare all tensors of two states or checkpoints, bit for bit unless a tolerance is given."""
    assert set(first) == set(second)
    for name in first:
        if atol:
            np.testing.assert_allclose(first[name], second[name], rtol=0, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
