"""The rate: in closed form where there is one, else from one draw."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfdgm.rate import rate, single_draw_rate

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
