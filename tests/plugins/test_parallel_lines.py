"""Two parallel lines at distance theta: W is |theta|, the Jensen-Shannon divergence log 2 at any distance but 0.

Arjovsky et al. 2017, example 1.
"""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import silent
from tensorflow_probability import distributions as tfd
from tfdgm_data.parallel_lines import ParallelLines
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.jsd import JSD
from tfdgm_objectives.wasserstein import Wasserstein

from tfdgm import Prior, experiment
from tfdgm.contracts.component import raw
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.training.trainer import Trainer

STEPS = 600


class UnitInterval(Prior):
    """z ~ U[0, 1]."""

    def build(self, context):
        self.size = context.latent.size

    def distribution(self, context):
        return tfd.Independent(tfd.Uniform(tf.zeros([self.size]), 1.0), 1)


def estimates(tmp_path, theta, objective):
    """Return the estimate of a trained critic between (0, U[0, 1]), from a fixed model, and (theta, U[0, 1])."""
    built = experiment(
        data=ParallelLines(theta=theta, num_train=20_000),
        prior=UnitInterval(),
        likelihood=Gaussian(),
        decoder=MLP(hidden=()),
        objectives=[objective],
        latent_size=1,
        steps=STEPS,
        batch_size=256,
        optimizer=keras.optimizers.SGD(0.0),
    ).build()
    affine = built.model.decoder.layers[0]
    raw(affine.kernel).assign([[0.0, 1.0]])
    Trainer(built, tmp_path, silent).train()
    np.testing.assert_array_equal(raw(affine.kernel), [[0.0, 1.0]])
    return ObjectiveEstimates(built, built.experiment.splits["test"], "test")()


def adam():
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, 5 * STEPS), beta_1=0.0, beta_2=0.99)


@pytest.mark.slow
@pytest.mark.parametrize("theta", [0.25, 0.5, 1.0, 2.0])
def test_the_dual_recovers_the_distance_within_3_percent(tmp_path, theta):
    objective = Wasserstein(network=MLP(hidden=(64, 64)), optimizer=adam())
    assert estimates(tmp_path, theta, objective)["wasserstein_estimate"] == pytest.approx(theta, rel=0.03)


@pytest.mark.slow
def test_the_jensen_shannon_divergence_is_log_2_also_far_away(tmp_path):
    objective = JSD(network=MLP(hidden=(64, 64)), optimizer=adam(), moves=5)
    # a lower bound: 0.01 nats below is a mean error of D of 1 %
    assert estimates(tmp_path, 2.0, objective)["jsd_estimate"] == pytest.approx(math.log(2), abs=0.01)
