"""tfdgm: its training loop and its score, as its own commands run them."""

import atexit
import tempfile
from pathlib import Path

from inputs import batches
from work import Size, Work

from contenders.tensorflow_on_cpu import tf
from tfdgm.configuration.resolve import read_config
from tfdgm.evaluation.bounds import Draws
from tfdgm.runs.experiment import Built
from tfdgm.training.trainer import Trainer

RING = """
experiment.batch_size = 256
experiment.ema_decay = None
network.mlp.hidden = (128, 128, 128)
steps = 40_000
"""
GAN = "objective.jsd.relativistic = False\nobjective.jsd.r1 = 0.0\nobjective.jsd.r2 = 0.0"
WGAN_GP = """
experiment.objectives = [@objective.wasserstein()]
objective.wasserstein.optimizer = @keras.optimizers.Adam()
objective.wasserstein.moves = 5
"""
#: Without k-means, which would take longer than all else here.
VQVAE = 'posterior.vq.initialization = "normal"'
WITHOUT_PRIOR = "experiment.prior = @prior.uniform()\nexperiment.likelihood = @likelihood.gaussian()"


def built(config: str, *bindings: str) -> Built:
    """Return the experiment of a config with its variables."""
    return read_config([config], list(bindings)).experiment().build()


def loop(config: str, *bindings: str, steps: int) -> Work:
    """Return the compiled loop of a number of training steps."""
    made = built(config, *bindings)
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    trainer = Trainer(made, Path(folder.name), print)
    shape = (steps * trainer.feed.draws_per_step, made.experiment.batch_size)
    positions = batches(len(made.experiment.train), shape)
    return Work(lambda: trainer.loop(steps, tf.constant(positions()))["loss"], steps)


def vae(size: Size) -> Work:
    return loop("digits/vae.gin", steps=size.of(100, 5))


def gan(size: Size) -> Work:
    return loop("toy/ring.gin", RING, GAN, steps=size.of(100, 3))


def wgan_gp(size: Size) -> Work:
    return loop("toy/ring.gin", RING, WGAN_GP, steps=size.of(20, 2))


def vqvae(size: Size) -> Work:
    return loop("photos/vqvae.gin", VQVAE, steps=size.of(5, 1))


def plain_vqvae(size: Size) -> Work:
    return loop("photos/vqvae.gin", VQVAE, WITHOUT_PRIOR, steps=size.of(5, 1))


def vae_maf(size: Size) -> Work:
    return loop("digits/vae_maf.gin", steps=size.of(100, 3))


def vae_vamp(size: Size) -> Work:
    return loop("digits/vae_vamp.gin", steps=size.of(50, 3))


def vae_categorical(size: Size) -> Work:
    return loop("digits/vae_categorical.gin", steps=size.of(100, 3))


def nll(size: Size) -> Work:
    """The importance-weighted bound on the test digits; a unit is a draw of z for one example."""
    made = built("digits/vae.gin")
    source = made.experiment.splits["test"]
    draws, samples = Draws(made, source), size.of(1_000, 100)
    return Work(lambda: draws.importance_weighted_nll(samples), samples * len(source))
