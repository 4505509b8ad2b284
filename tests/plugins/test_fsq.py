"""Finite scalar quantisation, against the paper's formula in float64 and all points of the grid."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from scipy.stats import norm
from small import context, points_experiment
from tfdgm_posteriors.fsq import FSQ
from tfdgm_priors.gaussian import Gaussian
from tfdgm_priors.uniform import Uniform

from tfdgm import DataSpec, UserError
from tfdgm.contracts.component import named_variables
from tfdgm.model.forward_pass import ForwardPass

LEVELS = pytest.mark.parametrize("levels", [(8, 6, 5), (2,), (3, 3), (2, 5, 4)], ids=str)


class Formula:
    """f of each channel, h tanh(z + s) - o, in float64."""

    def __init__(self, levels):
        numbers = np.array(levels)
        self.h = (numbers - 1) * 0.999 / 2
        self.o = np.where(numbers % 2, 0.0, 0.5)
        self.s = np.tan(self.o / self.h)
        self.half = numbers // 2

    def bounded(self, z):
        return self.h * np.tanh(z.astype(np.float64) + self.s) - self.o

    def slope(self, z):
        return self.h * (1 - np.tanh(z.astype(np.float64) + self.s) ** 2) / self.half

    def inverse(self, bounded):
        return np.arctanh((bounded + self.o) / self.h) - self.s


def features_of(levels, batch=300, positions=(2,), seed=0):
    return 2 * np.random.RandomState(seed).randn(batch, *positions, len(levels)).astype(np.float32)


@LEVELS
def test_the_codebook_is_the_whole_grid_in_mixed_radix_order(levels):
    codebook = FSQ(levels=levels).codebook().numpy()
    assert codebook.shape == (np.prod(levels), len(levels)) and codebook.dtype == np.float32
    assert codebook.min() == -1 and codebook.max() <= 1
    for code, row in enumerate(codebook):
        digits, rest = [], code
        for number in levels:
            digits.append(rest % number)
            rest //= number
        np.testing.assert_allclose(
            row, [(d - n // 2) / (n // 2) for d, n in zip(digits, levels, strict=True)], rtol=1e-6
        )
    assert len(np.unique(codebook, axis=0)) == len(codebook)


@LEVELS
def test_every_code_is_reached_and_embeds_to_the_point_that_is_quantised_to_it(levels):
    posterior, formula = FSQ(positions=(1,), levels=levels), Formula(levels)
    codes = np.arange(np.prod(levels))[:, None]
    points = posterior.embed(tf.constant(codes, tf.int32)).numpy()
    np.testing.assert_array_equal(points, posterior.codebook().numpy()[codes])
    whole = points * formula.half
    inside = np.clip(whole, -formula.half + 0.25, (np.array(levels) - 1) // 2 - 0.25)  # the ends are limits of f
    latent = posterior(tf.constant(formula.inverse(inside), tf.float32), context())
    np.testing.assert_array_equal(latent.value, codes)
    np.testing.assert_array_equal(latent.z, points)


@LEVELS
def test_the_code_is_that_of_the_nearest_point_of_the_grid(levels):
    posterior, formula, features = FSQ(levels=levels, positions=(2,)), Formula(levels), features_of(levels)
    latent = posterior(tf.constant(features), context())
    bounded = (formula.bounded(features) / formula.half).reshape(-1, len(levels))
    distances = cdist(bounded, posterior.codebook().numpy())
    found = distances[np.arange(600), latent.value.numpy().reshape(-1)]
    np.testing.assert_allclose(found, distances.min(axis=1), atol=1e-6)  # float32
    assert latent.value.dtype == tf.int32 and latent.distribution.event_shape == (2,)
    np.testing.assert_array_equal(latent.distribution.sample(seed=[1, 2]), latent.value)
    np.testing.assert_array_equal(posterior.embed(latent.value), latent.z)
    again = posterior.distribution(tf.constant(features), context())
    np.testing.assert_array_equal(again.distribution.loc, latent.value)
    assert not latent.losses and not named_variables(posterior)


@LEVELS
def test_no_z_leaves_the_grid(levels):
    extreme = np.array(list(itertools.product([-1e30, -50, 0, 50, 1e30], repeat=len(levels))), np.float32)
    latent = FSQ(levels=levels, positions=(1,))(tf.constant(extreme[:, None]), context())
    found = np.unique(latent.value)
    assert found.min() == 0 and found.max() == np.prod(levels) - 1


def test_at_0_each_channel_is_near_the_middle_of_its_levels():
    """The shift makes f(0) about 0 for even numbers, up to the difference between tan and arctanh."""
    levels = (3, 4, 5, 8, 64)
    bounded = Formula(levels).bounded(np.zeros(5))
    assert np.abs(bounded).max() < 0.03
    latent = FSQ(levels=levels, positions=(1,))(tf.zeros([1, 1, 5]), context())
    np.testing.assert_array_equal(latent.z, np.zeros([1, 1, 5]))


@LEVELS
def test_the_gradient_is_the_slope_of_the_bound(levels):
    posterior, features = FSQ(levels=levels), tf.constant(features_of(levels))
    weights = np.random.RandomState(1).randn(*features.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(features)
        total = tf.reduce_sum(weights * posterior(features, context(training=True)).z)
    expected = weights * Formula(levels).slope(features.numpy())
    np.testing.assert_allclose(tape.gradient(total, features), expected, atol=1e-5)  # float32


def test_under_a_uniform_prior_the_rate_is_the_log_of_the_number_of_grids():
    model = points_experiment(posterior=FSQ(positions=(2, 2)), prior=Uniform()).build().model
    forward = ForwardPass(model, tf.constant(model.data.rows[:7]), context())
    np.testing.assert_allclose(forward.rate, np.full(7, 4 * np.log(8 * 6 * 5)), rtol=1e-6)  # float32
    assert forward.drawn.shape == forward.latent.z.shape == (7, 2, 2, 3)


def test_under_a_density_the_rate_is_the_surprise_at_the_codes_and_moves_the_prior_alone():
    posterior = FSQ(positions=(3,), levels=(3, 2))
    model = points_experiment(posterior=posterior, prior=Gaussian(learned_mean=True)).build().model
    with tf.GradientTape() as tape:
        features = model.features(tf.constant(model.data.rows[:7]), context())
        tape.watch(features)
        forward = ForwardPass(model, tf.constant(model.data.rows[:7]), context(training=True))
        forward.__dict__["features"] = features
        rate = forward.rate
    log_p = log_softmax(norm.logpdf(posterior.codebook().numpy().astype(np.float64)).sum(axis=1))
    np.testing.assert_allclose(rate, -log_p[forward.latent.value.numpy()].sum(axis=1), rtol=1e-5)  # float32
    of_features, of_mean = tape.gradient(rate, [features, model.prior.mean.value])
    assert of_features is None and np.abs(of_mean).max() > 0.01


def test_the_latents_dimension_is_the_number_of_channels_whatever_the_experiments():
    model = points_experiment(posterior=FSQ(levels=(4, 3, 2, 2)), prior=Gaussian(), latent_size=2).build().model
    assert model.latent.size == 4 and model.latent.categories == 48 and model.latent.deterministic
    assert str(model.latent) == "8 codes of 48, embedded in R^4"


def test_the_metrics_are_those_of_the_drawn_codes():
    posterior, features = FSQ(levels=(3, 2), positions=(2,)), features_of((3, 2), 40)
    latent = posterior(tf.constant(features), context())
    share = np.bincount(latent.value.numpy().ravel(), minlength=6) / 80
    expected = np.exp(-np.sum(share[share > 0] * np.log(share[share > 0])))
    assert float(latent.metrics["code_perplexity"]) == pytest.approx(expected, rel=1e-5)  # float32
    assert float(latent.metrics["code_usage"]) == pytest.approx(np.mean(share > 0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": ()},
        {"levels": (8, 1)},
        {"levels": (2.5,)},
        {"levels": (64, 64, 64, 5)},
        {"positions": ()},
        {"positions": (0,)},
    ],
    ids=str,
)
def test_wrong_hyperparameters_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        FSQ(**wrong)


def test_the_feature_shape_has_a_channel_for_each_number_of_levels():
    posterior = FSQ(positions=(2, 3), levels=(5, 5))
    spec = posterior.latent_spec(8, DataSpec((3,)))
    assert posterior.feature_shape(spec) == (2, 3, 2)
