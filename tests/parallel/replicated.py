"""Experiments with every kind of learning, small enough to train on 1, 2 and 4 devices."""

import keras
import numpy as np
from small import Points, normal_rows, points_experiment, silent
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_objectives.iwae import IWAE
from tfdgm_objectives.jsd import JSD
from tfdgm_objectives.mmd import MMD
from tfdgm_objectives.wasserstein import Wasserstein
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior
from tfdgm_priors.gaussian import Gaussian
from tfdgm_priors.maf import MAF

from tfdgm import ArraySource, ConditionSpec, DataSpec
from tfdgm.parallel.devices import Devices
from tfdgm.parallel.strategies import mirrored
from tfdgm.training.trainer import Trainer

STEPS = 50


def network(**settings):
    return MLP(hidden=(8,), **settings)


def adam():
    return keras.optimizers.Adam(1e-3)


def wgan_gp():
    critic = Wasserstein(network=network(), optimizer=adam(), moves=2)
    return {"posterior": None, "encoder": None, "decoder": network(normalization="batch"), "objectives": [critic]}


def adversarial_autoencoder():
    critic = JSD(network=network(), optimizer=adam(), space="latent", r1=0.1, spectral_normalization=True)
    return {"objectives": [ELBO(beta=0.0), critic]}


class Labelled(Points):
    """The points, with their positions modulo 3 as labels."""

    def __init__(self, *, rows):
        super().__init__(rows=rows)
        self.spec = DataSpec(shape=self.rows.shape[1:], condition=ConditionSpec(categories=3))

    def splits(self):
        return {name: ArraySource(source.rows, np.arange(len(source)) % 3) for name, source in super().splits().items()}


def labels():
    critic = JSD(network=network(), optimizer=adam())
    return {
        "data": Labelled(rows=normal_rows()),
        "condition": True,
        "prior": Gaussian(learned_mean=True, per_condition=True),
        "objectives": [ELBO(), critic],
    }


#: Changes to an affine VAE on 62 points with batches of 16, by name; created anew for every run.
KINDS = {
    "vae": lambda: {
        "encoder": network(dropout=0.2, normalization="batch"),
        "decoder": network(dropout=0.2, normalization="batch"),
        "ema_decay": 0.9,
    },
    "maf": lambda: {"prior": MAF(num_bijectors=2, hidden=(8,)), "resident_bytes": 0},  # streamed
    "exact": lambda: {"prior": AggregatedPosterior(components="exact", leave_one_out=True)},
    "categorical": lambda: {"posterior": Categorical(positions=(2,), num_categories=3)},
    "vq": lambda: {"posterior": VQ(positions=(2,), num_codes=12, restart_below=0.3), "prior": AggregatedPosterior()},
    "iwae": lambda: {"objectives": [IWAE(draws=3, doubly_reparameterized=True), MMD()]},
    "wgan_gp": wgan_gp,
    "labels": labels,
    "adversarial_autoencoder": adversarial_autoencoder,
}


def replicated(kind, devices, **changes):
    """A built experiment with four shards, and its devices; `devices` may be their number."""
    devices = devices if isinstance(devices, Devices) else mirrored(devices)
    settings = {
        "data": Points(rows=np.concatenate([normal_rows(), normal_rows()[:2] + 0.1])),
        "batch_size": 16,
        "shards": 4,
        "clip_norm": 1.0,
        "steps": STEPS,
        "steps_per_loop": 25,
    }
    with devices.scope():
        made = {**settings, **KINDS[kind](), **changes}
        if "optimizer" not in made:
            made["optimizer"] = adam()
        return points_experiment(**made).build(devices), devices


def train(workdir, kind, devices, **changes):
    """The state at the end of training."""
    built, devices = replicated(kind, devices, **changes)
    with devices.scope():
        Trainer(built, workdir, silent).train()
        return built.state.read()


def largest_difference(first, second):
    """max |a - b| / max |a| of the tensor that differs most, and its name."""
    assert set(first) == set(second)
    differences = {
        name: float(np.max(np.abs(np.float64(a) - second[name])) / max(np.max(np.abs(np.float64(a))), 1e-3))
        for name, a in first.items()
    }
    worst = max(differences, key=lambda name: differences[name])
    return differences[worst], worst
