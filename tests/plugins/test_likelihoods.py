"""Likelihoods against SciPy."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from tfdgm_likelihoods.bernoulli import Bernoulli
from tfdgm_likelihoods.gaussian import Gaussian

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError

RANDOM = np.random.RandomState(0)


def built(likelihood, shape=(4, 3)):
    likelihood.build(BuildContext(DataSpec(shape=shape), LatentSpec(2), 10, None, 0))
    return likelihood


def test_bernoulli_is_scipys_summed_over_the_event():
    outputs = RANDOM.randn(5, 4, 3).astype(np.float32) * 3
    x = (RANDOM.rand(5, 4, 3) < 0.5).astype(np.float32)
    expected = scipy.stats.bernoulli(1 / (1 + np.exp(-outputs.astype(float)))).logpmf(x).sum((1, 2))
    np.testing.assert_allclose(built(Bernoulli()).distribution(outputs).log_prob(x), expected, rtol=1e-5)  # float32


def test_bernoulli_stays_finite_where_the_logits_are_large():
    outputs = np.full((1, 4, 3), 200.0, np.float32)
    log_prob = built(Bernoulli()).distribution(outputs).log_prob(np.zeros((1, 4, 3), np.float32))
    np.testing.assert_allclose(log_prob, -2400.0, rtol=1e-6)  # 12 pixels at -200 each


@pytest.mark.parametrize("low, high", [(-0.1, 1.0), (0.0, 255.0)])
def test_bernoulli_refuses_data_outside_of_the_unit_interval(low, high):
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        Bernoulli().check(dataclasses.replace(DataSpec(shape=(2,)), low=low, high=high))


@pytest.mark.parametrize("scale", [0.1, 2.0])
@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_is_scipys_summed_over_the_event(scale, learned):
    outputs, x = RANDOM.randn(2, 5, 4, 3).astype(np.float32)
    likelihood = built(Gaussian(scale=scale, learned_scale=learned))
    expected = scipy.stats.norm(outputs.astype(float), scale).logpdf(x).sum((1, 2))
    np.testing.assert_allclose(likelihood.distribution(outputs).log_prob(x), expected, rtol=1e-4)  # float32, squares
    assert likelihood.log_scale.trainable is learned


def test_extra_leading_dimensions_are_batch_dimensions():
    assert built(Gaussian()).distribution(np.zeros((7, 5, 4, 3), np.float32)).batch_shape == (7, 5)
    assert built(Bernoulli()).distribution(np.zeros((7, 5, 4, 3), np.float32)).batch_shape == (7, 5)


def test_gaussian_refuses_a_scale_that_is_not_positive():
    with pytest.raises(UserError, match="scale must be positive, got 0"):
        Gaussian(scale=0)
