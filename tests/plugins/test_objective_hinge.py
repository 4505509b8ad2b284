"""The hinge loss against its definition, and its bound on the total variation distance."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm
from small import context
from small_critics import (
    affine_objective,
    critic_gradients,
    finite_differences,
    gan_pass,
    identity,
    refused,
    rows,
    tanh_objective,
    tanh_scores,
    weights_of,
)
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.hinge import Hinge, hinge_loss

#: Nodes of the trapezoidal rule, whose error for these smooth densities is below 1e-8; at the jumps of f about 1e-3.
AXIS, WIDTH = np.linspace(-12, 12, 24_001, retstep=True)
REAL, FAKE = norm(0.5, 1.0), norm(-0.7, 1.0)


def expected_loss(critic):
    """E of the hinge loss under N(0.5, 1) and N(-0.7, 1), by quadrature, with the scores computed at each node."""
    scores = tf.constant(critic(AXIS))
    one = tf.ones_like(scores)  # at f(x) = 1 and f(x') = -1 the terms are 0
    of_real, of_fake = hinge_loss(scores, -one[None]).numpy(), hinge_loss(one, scores[None]).numpy()
    return np.sum(of_real * REAL.pdf(AXIS) + of_fake * FAKE.pdf(AXIS)) * WIDTH


def test_the_best_critic_gives_the_total_variation_and_every_other_less():
    exact = 2 * norm.cdf(1.2 / 2) - 1  # of N(a, 1) and N(b, 1): 2 Phi(|a - b| / 2) - 1
    ratio = REAL.logpdf(AXIS) - FAKE.logpdf(AXIS)
    assert 1 - expected_loss(lambda x: np.sign(ratio)) / 2 == pytest.approx(exact, abs=1e-3)  # one node of the jump
    for critic in (np.tanh, lambda x: 2 * np.sign(x + 0.1), lambda x: x, lambda x: 0 * x, lambda x: -np.sign(ratio)):
        assert 1 - expected_loss(critic) / 2 < exact - 0.01


def test_the_loss_and_its_gradient_are_those_of_the_definition():
    objective = tanh_objective(Hinge)
    weights, real, fakes = weights_of(objective.critic), rows(12), [rows(12, seed=1), rows(12, seed=2, shift=0.5)]

    def by_hand(weights):
        hinge = np.maximum(0, 1 - tanh_scores(weights, real)[0])
        return (hinge + np.mean([np.maximum(0, 1 + tanh_scores(weights, x)[0]) for x in fakes], axis=0)).mean()

    scores = np.concatenate([-tanh_scores(weights, real)[0], *(tanh_scores(weights, x)[0] for x in fakes)])
    assert (scores < -1).any() and (scores > -1).any()  # both sides of the hinge
    loss, gradients = critic_gradients(objective, real, fakes)
    np.testing.assert_allclose(tf.reduce_mean(loss.value), by_hand(weights), rtol=1e-5)  # float32
    np.testing.assert_allclose(loss.metrics["total_variation_bound"], 1 - loss.value / 2, rtol=1e-6)
    for found, expected in zip(gradients, finite_differences(by_hand, weights), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)  # float32


def test_the_model_minimises_minus_the_score_of_its_samples_and_in_latent_space_the_difference():
    real, fakes = np.array([[1.0], [2.0]]), [np.array([[3.0], [5.0]]), np.array([[-1.0], [0.5]])]
    found = Hinge(network=MLP(hidden=())).generator_loss(identity, real, fakes)
    np.testing.assert_array_equal(found, -(fakes[0] + fakes[1])[:, 0] / 2)
    latent = Hinge(network=MLP(hidden=()), space="latent").generator_loss(identity, real, fakes[:1])
    np.testing.assert_array_equal(latent, (real - fakes[0])[:, 0])


def test_estimates_are_the_bound_and_the_slopes():
    objective, real, fake = affine_objective(Hinge, [0.6, 0.8], 0.1), rows(30, 2), rows(30, 2, seed=1, shift=-0.5)
    found = objective.estimates(gan_pass(real, fake), context())
    loss = np.maximum(0, 0.9 - real @ [0.6, 0.8]).mean() + np.maximum(0, 1.1 + fake @ [0.6, 0.8]).mean()
    expected = {"total_variation_estimate": 1 - loss / 2, "critic_slope": 1.0, "critic_lipschitz": 1.0}
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)  # float32


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"moves": 0}, "moves must be at least 1, got 0"),
        ({"weight": 0.0}, "weight must be positive, got 0"),
        ({"unrolling": 2, "unrolling_rate": 1.5}, "unrolling_rate must be at most 1, got 1.5"),
        ({"space": "latent", "fakes": "prior"}, "fakes has no effect in latent space"),
    ],
    ids=str,
)
def test_bad_values_are_refused(settings, expected):
    refused(lambda: Hinge(network=MLP(hidden=()), **settings), Hinge.display_name(), expected)
