"""The rate: in closed form where there is one, else from one draw."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tfdgm_priors.categorical_mixture import CategoricalMixture

from tfdgm.model.rate import rate, single_draw_rate

tfd = tfp.distributions


def gaussian():
    random = np.random.RandomState(0)
    mean, scale = random.randn(6, 3).astype(np.float32), random.uniform(0.3, 2, (6, 3)).astype(np.float32)
    return tfd.Independent(tfd.Normal(mean, scale), 1), mean, scale


def test_two_gaussians_take_the_closed_form_whatever_the_draw():
    q, mean, scale = gaussian()
    p = tfd.Independent(tfd.Normal(tf.zeros(3), tf.ones(3)), 1)
    exact = np.sum(0.5 * (mean**2 + scale**2 - 1) - np.log(scale), axis=1)
    for seed in (0, 1):
        np.testing.assert_allclose(rate(q, p, q.sample(seed=[0, seed])), exact, rtol=1e-5)  # float32


def test_a_pair_without_a_closed_form_takes_the_draw():
    q, _, _ = gaussian()
    p = tfd.Independent(tfd.StudentT(5.0, tf.zeros(3), tf.ones(3)), 1)
    with pytest.raises(NotImplementedError):
        tfd.kl_divergence(q, p)
    z = q.sample(seed=[0, 0])
    np.testing.assert_array_equal(rate(q, p, z), q.log_prob(z) - p.log_prob(z))


def test_the_estimate_from_draws_is_unbiased():
    q, mean, scale = gaussian()
    p = tfd.Independent(tfd.Normal(tf.zeros(3), tf.ones(3)), 1)
    estimates = single_draw_rate(q, p, q.sample(20_000, seed=[1, 2])).numpy()
    exact = np.sum(0.5 * (mean**2 + scale**2 - 1) - np.log(scale), axis=1)
    error = estimates.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(estimates.mean(axis=0) - exact) < 4 * error)  # six numbers within four standard errors


def codes():
    """q(c|x) for 3 examples of 2 positions and 3 codes, and a mixture of 4 components over the same grids."""
    random = np.random.RandomState(2)
    q = tfd.Independent(tfd.Categorical(logits=random.randn(3, 2, 3).astype(np.float32)), 1)
    components = tf.nn.log_softmax(tf.constant(2 * random.randn(4, 2, 3), tf.float32))
    return q, CategoricalMixture(components)


GRIDS = np.array(list(itertools.product(range(3), repeat=2)), np.int32)


def test_codes_against_independent_positions_take_the_closed_form_whatever_the_draw():
    q, _ = codes()
    p = tfd.Independent(tfd.Categorical(logits=tf.constant([[0.0, 1.0, -1.0], [0.5, 0.0, 0.0]])), 1)
    log_q, log_p = (d.log_prob(GRIDS[:, None]).numpy().astype(np.float64) for d in (q, p))
    exact = np.sum(np.exp(log_q) * (log_q - log_p), axis=0)
    found = rate(q, p, q.sample(seed=[0, 1]), tf.fill([3, 2, 3], 1 / 3))
    np.testing.assert_allclose(found, exact, rtol=1e-5)  # float32


def test_relaxed_codes_take_the_entropy_exactly_and_the_prior_where_it_is_relaxed():
    q, p = codes()
    relaxed = tf.nn.softmax(tf.constant(np.random.RandomState(3).randn(3, 2, 3), tf.float32))
    expected = -q.entropy() - p.relaxed_log_prob(relaxed)
    np.testing.assert_array_equal(rate(q, p, q.sample(seed=[0, 1]), relaxed), expected)


def test_a_prior_that_knows_no_relaxed_codes_is_evaluated_at_the_draw():
    q, p = codes()
    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(logits=tf.zeros(4)), tfd.Independent(tfd.Categorical(logits=p._log_probabilities), 1)
    )
    value = q.sample(seed=[0, 1])
    logits = tf.constant(np.random.RandomState(4).randn(3, 2, 3), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        relaxed = tf.nn.softmax(logits)
        found = rate(q, mixture, value, relaxed)
    np.testing.assert_allclose(found, -q.entropy() - p.log_prob(value), rtol=1e-5)  # float32
    assert tape.gradient(found, logits) is None


@pytest.mark.parametrize("independent", [True, False], ids=["independent positions", "mixture"])
def test_the_single_draw_rate_of_relaxed_codes_extends_that_of_codes_linearly_in_log_q(independent):
    q, p = codes()
    if independent:
        p = tfd.Independent(tfd.Categorical(logits=tf.constant([[0.0, 1.0, -1.0], [0.5, 0.0, 0.0]])), 1)
    value = q.sample(seed=[0, 1])
    exact = single_draw_rate(q, p, value)
    np.testing.assert_allclose(single_draw_rate(q, p, value, tf.one_hot(value, 3)), exact, rtol=1e-5)  # float32
    logits = tf.constant(np.random.RandomState(4).randn(3, 2, 3), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        relaxed = tf.nn.softmax(logits)
        found = single_draw_rate(q, p, value, relaxed)
    y, log_q = relaxed.numpy(), tf.math.log_softmax(q.distribution.logits).numpy()
    log_p = tf.math.log_softmax(p.distribution.logits) * y if independent else 0.0
    expected = np.sum(y * log_q - log_p, axis=(1, 2)) - (0.0 if independent else p.relaxed_log_prob(relaxed))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(tape.gradient(found, logits)).min() > 0


def test_the_estimate_from_exact_codes_is_unbiased():
    q, p = codes()
    value = q.sample(20_000, seed=[1, 2])
    log_q, log_p = (d.log_prob(np.repeat(GRIDS[:, None], 3, axis=1)).numpy().astype(np.float64) for d in (q, p))
    exact = np.sum(np.exp(log_q) * (log_q - log_p), axis=0)
    estimates = (-q.entropy() - p.log_prob(value)).numpy()
    error = estimates.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(estimates.mean(axis=0) - exact) < 4 * error)  # three numbers within four standard errors


def test_one_certain_grid_has_the_rate_of_its_surprise():
    _, p = codes()
    value = tf.constant([[0, 2], [1, 1]])
    q = tfd.Independent(tfd.Deterministic(value), 1)
    np.testing.assert_array_equal(rate(q, p, value), -p.log_prob(value))
    independent = tfd.Independent(tfd.Categorical(logits=tf.zeros([2, 3])), 1)
    np.testing.assert_allclose(rate(q, independent, value), 2 * np.log(3), rtol=1e-6)  # float32
