"""Mixtures of products of categoricals against TFP's own mixture and against sums written out."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tfdgm_priors.categorical_mixture as module
from scipy.special import log_softmax, logsumexp
from tensorflow_probability import distributions as tfd
from tfdgm_priors.categorical_mixture import CategoricalMixture

COMPONENTS, SHAPE, CATEGORIES = 6, (2, 2), 3
GRIDS = np.array(list(itertools.product(range(CATEGORIES), repeat=4)), np.int32).reshape(-1, *SHAPE)
LOG_P = log_softmax(2 * np.random.RandomState(0).randn(COMPONENTS, *SHAPE, CATEGORIES), axis=-1)


def mixture(**arguments):
    return CategoricalMixture(tf.constant(LOG_P, tf.float32), **arguments)


def by_component(grids):
    """log p_m(c), `[grids, components]`."""
    return np.array([[sum(LOG_P[(m, *at, grid[at])] for at in np.ndindex(SHAPE)) for m in range(COMPONENTS)]
                     for grid in grids])  # fmt: skip


def test_the_log_probability_is_that_of_tfps_mixture():
    reference = tfd.MixtureSameFamily(
        tfd.Categorical(logits=tf.zeros(COMPONENTS)), tfd.Independent(tfd.Categorical(logits=LOG_P.astype("f")), 2)
    )
    found = mixture().log_prob(GRIDS)
    assert mixture().event_shape == SHAPE and mixture().batch_shape == ()
    np.testing.assert_allclose(found, reference.log_prob(GRIDS), atol=1e-5)  # float32
    assert np.exp(found.numpy().astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("leading", [(), (81,), (3, 27), (3, 3, 9)])
def test_any_leading_shape_is_kept(leading):
    grids = GRIDS.reshape(*leading, *SHAPE) if leading else GRIDS[5]
    expected = logsumexp(by_component(GRIDS), axis=1) - np.log(COMPONENTS)
    expected = expected.reshape(leading) if leading else expected[5]
    np.testing.assert_allclose(mixture().log_prob(grids), expected, atol=1e-5)  # float32


def test_at_one_hot_codes_the_relaxed_log_probability_is_that_of_the_codes():
    relaxed = mixture().relaxed_log_prob(tf.one_hot(GRIDS, CATEGORIES))
    np.testing.assert_array_equal(relaxed, mixture().log_prob(GRIDS))


def test_between_codes_the_relaxed_log_probability_averages_those_of_the_components():
    y = np.random.RandomState(1).dirichlet(np.ones(CATEGORIES), (5, *SHAPE))
    expected = logsumexp(np.einsum("bijk,mijk->bm", y, LOG_P), axis=1) - np.log(COMPONENTS)
    np.testing.assert_allclose(mixture().relaxed_log_prob(tf.constant(y, tf.float32)), expected, atol=1e-5)  # float32


def excluded(own):
    """log of the mean over the other components of each grid, written out."""
    densities = by_component(GRIDS[: len(own)])
    densities[np.arange(len(own)), own] = -np.inf
    return logsumexp(densities, axis=1) - np.log(COMPONENTS - 1)


def test_a_row_leaves_out_its_own_component():
    own = np.arange(81) % COMPONENTS
    distribution = mixture(exclude=tf.constant(own, tf.int64))
    np.testing.assert_allclose(distribution.log_prob(GRIDS), excluded(own), atol=1e-5)  # float32
    relaxed = distribution.relaxed_log_prob(tf.one_hot(GRIDS, CATEGORIES))
    np.testing.assert_allclose(relaxed, excluded(own), atol=1e-5)


@pytest.mark.parametrize("pairs", [6, 6 * 10, 6 * 27, 6 * 80])
@pytest.mark.parametrize("leave_out", [False, True])
def test_a_few_rows_at_a_time_give_what_all_at_once_give(monkeypatch, pairs, leave_out):
    own = np.arange(81) % COMPONENTS
    arguments = {"exclude": tf.constant(own)} if leave_out else {}
    expected = mixture(**arguments).log_prob(GRIDS).numpy()
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", pairs)

    @tf.function(jit_compile=True, autograph=False)
    def chunked(grids):
        return mixture(**arguments).log_prob(grids)

    np.testing.assert_allclose(chunked(tf.constant(GRIDS)), expected, atol=1e-5)  # float32


def test_draws_have_the_exact_probabilities_under_xla():
    count = 20_000

    @tf.function(jit_compile=True, autograph=False)
    def draw(seed):
        return mixture().sample(count, seed=seed)

    draws = draw(tf.constant([1, 2])).numpy()
    assert draws.dtype == np.int32 and draws.shape == (count, *SHAPE)
    margins = np.exp(LOG_P).mean(axis=0)
    frequency = (draws[..., None] == np.arange(CATEGORIES)).mean(axis=0)
    # twelve numbers within five standard errors
    assert np.all(np.abs(frequency - margins) < 5 * np.sqrt(margins * (1 - margins) / count))
    # all positions come from one component: the 81 joint frequencies, likewise, with one count for rare grids
    joint = np.bincount(draws.reshape(count, 4) @ [27, 9, 3, 1], minlength=81) / count
    expected = np.exp(logsumexp(by_component(GRIDS), axis=1)) / COMPONENTS
    assert np.all(np.abs(joint - expected) < 5 * np.sqrt(expected * (1 - expected) / count) + 1 / count)
