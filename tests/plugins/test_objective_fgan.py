"""f-GAN: every bound against the divergence of two Gaussians, by quadrature and in closed form, and the losses."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import quad
from scipy.stats import norm
from small import context
from small_critics import (
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
from tfdgm_objectives.fgan import BOUNDS, FGAN

from tfdgm.evaluation.units import logged_unit

#: Pearson's divergence is finite because the fake law is the wider one.
REAL, FAKE = norm(0.4, 0.8), norm(-0.3, 1.1)
#: f(u) of D(p||q) = int q f(p/q), and its derivative: the best critic has g(f(x)) = f'(p/q) (Nguyen et al. 2010).
GENERATORS = {
    "pearson": (lambda u: (u - 1) ** 2, lambda u: 2 * (u - 1)),
    "kl": (lambda u: u * np.log(u), lambda u: np.log(u) + 1),
    "reverse_kl": (lambda u: -np.log(u), lambda u: -1 / u),
    "squared_hellinger": (lambda u: (np.sqrt(u) - 1) ** 2, lambda u: 1 - 1 / np.sqrt(u)),
}
#: The inverse of the output's activation g.
INVERSES = {
    "pearson": lambda t: t,
    "kl": lambda t: t,
    "reverse_kl": lambda t: -np.log(-t),
    "squared_hellinger": lambda t: -np.log(1 - t),
}
AXIS, WIDTH = np.linspace(-10, 10, 20_001, retstep=True)


def ratio(x):
    return np.exp(REAL.logpdf(x) - FAKE.logpdf(x))


def divergence(name):
    """int q f(p/q) by adaptive quadrature."""
    f = GENERATORS[name][0]
    return quad(lambda x: FAKE.pdf(x) * f(ratio(x)), -10, 10, epsabs=1e-12)[0]


def bound(name, scores):
    """E g(f(x)) - E f*(g(f(x'))) by the trapezoidal rule, for the critic's output at each node."""
    activation, conjugate, _ = BOUNDS[name]
    of_real, of_fake = activation(tf.constant(scores)).numpy(), conjugate(tf.constant(scores)).numpy()
    return np.sum(REAL.pdf(AXIS) * of_real - FAKE.pdf(AXIS) * of_fake) * WIDTH


def best(name):
    return INVERSES[name](GENERATORS[name][1](ratio(AXIS)))


def kl(p, q):
    (a, s), (b, t) = ((law.mean(), law.std()) for law in (p, q))
    return math.log(t / s) + (s**2 + (a - b) ** 2) / (2 * t**2) - 0.5


def squared_hellinger(p, q):
    (a, s), (b, t) = ((law.mean(), law.std()) for law in (p, q))
    total = s**2 + t**2
    return 2 - 2 * math.sqrt(2 * s * t / total) * math.exp(-((a - b) ** 2) / (4 * total))


def pearson(p, q):
    (a, s), (b, t) = ((law.mean(), law.std()) for law in (p, q))
    rest = 2 * t**2 - s**2
    return t**2 / (s * math.sqrt(rest)) * math.exp((a - b) ** 2 / rest) - 1


def test_the_quadrature_agrees_with_the_closed_forms():
    exact = {
        "pearson": pearson(REAL, FAKE),
        "kl": kl(REAL, FAKE),
        "reverse_kl": kl(FAKE, REAL),
        "squared_hellinger": squared_hellinger(REAL, FAKE),
    }
    assert set(exact) == set(BOUNDS)
    for name, expected in exact.items():
        assert divergence(name) == pytest.approx(expected, abs=1e-8), name  # of quadrature on [-10, 10]


@pytest.mark.parametrize("name", BOUNDS)
def test_the_best_critic_gives_the_divergence_and_every_other_less(name):
    exact = divergence(name)
    assert bound(name, best(name)) == pytest.approx(exact, abs=1e-7)  # of the trapezoidal rule
    random = np.random.RandomState(0)
    for size in (0.1, 0.5, 2.0):
        for _ in range(5):
            slope, phase = random.uniform(0.5, 2, 2)
            assert bound(name, best(name) + size * np.sin(slope * AXIS + phase)) < exact - 1e-4


def test_a_critic_that_distinguishes_nothing_bounds_by_0():
    """Where p = q the best output is f'(1), and the divergence 0."""
    for name in BOUNDS:
        scores = np.full_like(AXIS, INVERSES[name](GENERATORS[name][1](np.float64(1))))
        assert bound(name, scores) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", BOUNDS)
def test_the_loss_and_its_gradient_are_those_of_the_definition(name):
    objective = tanh_objective(FGAN, divergence=name)
    weights, real, fakes = weights_of(objective.critic), rows(12), [rows(12, seed=1), rows(12, seed=2, shift=0.5)]
    activation = {"reverse_kl": lambda v: -np.exp(-v), "squared_hellinger": lambda v: 1 - np.exp(-v)}.get(
        name, lambda v: v
    )
    conjugate = {
        "pearson": lambda t: t**2 / 4 + t,
        "kl": lambda t: np.exp(t - 1),
        "reverse_kl": lambda t: -1 - np.log(-t),
        "squared_hellinger": lambda t: t / (1 - t),
    }[name]

    def by_hand(weights):
        of_fake = [conjugate(activation(tanh_scores(weights, x)[0])) for x in fakes]
        return np.mean(np.mean(of_fake, axis=0) - activation(tanh_scores(weights, real)[0]))

    loss, gradients = critic_gradients(objective, real, fakes)
    np.testing.assert_allclose(tf.reduce_mean(loss.value), by_hand(weights), rtol=1e-5)  # float32
    np.testing.assert_array_equal(loss.metrics[f"fgan_{name}_bound"], -loss.value)
    for found, expected in zip(gradients, finite_differences(by_hand, weights), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)  # exponentials in float32


@pytest.mark.parametrize("name", BOUNDS)
def test_the_model_minimises_its_part_of_the_bound_or_raises_the_activation(name):
    real, fakes = np.array([[1.0], [2.0]]), [np.array([[0.3], [0.5]]), np.array([[-1.0], [0.5]])]
    g, conjugate, _ = BOUNDS[name]
    activation = [g(tf.constant(fake[:, 0])).numpy() for fake in fakes]
    saturating = -np.mean([conjugate(tf.constant(fake[:, 0])).numpy() for fake in fakes], axis=0)
    for generator, expected in (("non_saturating", -np.mean(activation, axis=0)), ("saturating", saturating)):
        objective = FGAN(network=MLP(hidden=()), divergence=name, generator=generator)
        np.testing.assert_allclose(objective.generator_loss(identity, real, fakes), expected, rtol=1e-12)  # float64
    latent = FGAN(network=MLP(hidden=()), divergence=name, space="latent").generator_loss(identity, real, fakes[:1])
    np.testing.assert_allclose(latent, g(tf.constant(real[:, 0])) - activation[0], rtol=1e-12)


@pytest.mark.parametrize("name", BOUNDS)
def test_the_estimate_is_the_bound_and_has_the_unit_of_the_divergence(name):
    objective = tanh_objective(FGAN, divergence=name)
    real, fake = rows(12), rows(12, seed=1)
    found = objective.estimates(gan_pass(real, fake), context())
    assert set(found) == {f"fgan_{name}_estimate", "critic_slope", "critic_lipschitz"}
    loss, _ = critic_gradients(objective, real, [fake])
    np.testing.assert_allclose(found[f"fgan_{name}_estimate"], -np.mean(loss.value), rtol=1e-5)  # float32
    expected = {"pearson": "dimensionless", "squared_hellinger": "at most 2"}.get(name, "nats")
    for prefix in ("", "latent_"):
        assert logged_unit(f"{prefix}fgan_{name}_estimate", {}, FGAN.units) == expected


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"divergence": "jeffreys"}, "divergence must be 'pearson' or 'kl' or 'reverse_kl' or 'squared_hellinger'"),
        ({"generator": "saturated"}, "generator must be 'non_saturating' or 'saturating'"),
        ({"weight": -1.0}, "weight must be positive, got -1"),
        ({"unrolling_rate": 0.1}, "unrolling_rate has no effect with unrolling = 0"),
    ],
    ids=str,
)
def test_bad_values_are_refused(settings, expected):
    refused(lambda: FGAN(network=MLP(hidden=()), **settings), FGAN.display_name(), expected)
