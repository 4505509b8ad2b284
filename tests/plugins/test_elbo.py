"""The evidence lower bound as a loss, at weights of the rate that matter."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import context
from tfdgm_objectives.elbo import ELBO

RECONSTRUCTION, RATE = tf.constant([-3.0, -5.0]), tf.constant([2.0, 0.5])
RISING = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)


def loss_of(objective, rate=RATE, step=0):
    return objective.model_loss(types.SimpleNamespace(reconstruction=RECONSTRUCTION, rate=rate), context(step=step))


@pytest.mark.parametrize(
    "beta, step, weight", [(1.0, 0, 1.0), (2, 0, 2.0), (0.25, 7, 0.25), (RISING, 0, 0.0), (RISING, 5, 0.5), (0, 0, 0.0)]
)
def test_the_loss_is_the_negative_reconstruction_and_beta_times_the_rate(beta, step, weight):
    loss = loss_of(ELBO(beta=beta), step=step)
    np.testing.assert_allclose(loss.value, -RECONSTRUCTION + weight * RATE, rtol=1e-6)  # float32
    expected = {"elbo": RECONSTRUCTION - RATE, "reconstruction": RECONSTRUCTION, "rate": RATE}
    assert set(loss.metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(loss.metrics[name], value)


@pytest.mark.parametrize("beta", [0, 0.0, 1e-46])
def test_with_beta_0_an_infinite_rate_is_logged_and_does_not_reach_the_loss(beta):
    loss = loss_of(ELBO(beta=beta), tf.constant([np.inf, 1.0]))
    np.testing.assert_array_equal(loss.value, -RECONSTRUCTION)
    assert loss.metrics["rate"][0] == np.inf and loss.metrics["elbo"][0] == -np.inf


def test_with_another_beta_an_infinite_rate_is_an_infinite_loss():
    assert loss_of(ELBO(beta=0.1), tf.constant([np.inf, 1.0])).value[0] == np.inf
