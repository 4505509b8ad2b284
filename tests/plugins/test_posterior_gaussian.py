"""The Gaussian posterior, diagonal and full, against SciPy and TFP."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from small import context, points_experiment, silent
from tfdgm_posteriors.gaussian import Gaussian

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.model.rate import rate
from tfdgm.training.trainer import Trainer

tfd = tfp.distributions
DATA = DataSpec(shape=(3,))


def built(size, covariance="full", **settings):
    posterior = Gaussian(covariance=covariance, **settings)
    posterior.build(BuildContext(DATA, posterior.latent_spec(size, DATA), 10, None, 0))
    return posterior


def features_of(posterior, size, batch=4, seed=0):
    (width,) = posterior.feature_shape(LatentSpec(size))
    return np.random.RandomState(seed).randn(batch, width).astype(np.float32)


def moments(features, size, min_scale=1e-4):
    """Mean and L of every example; the entries below the diagonal in the order of TFP's `fill_triangular`."""
    mean, scale = features[:, :size], np.log1p(np.exp(features[:, size : 2 * size].astype(float))) + min_scale
    below = features[:, 2 * size :]
    order = tfp.math.fill_triangular(tf.range(below.shape[1])).numpy() if below.size else None
    triangles = np.zeros((len(features), size, size))
    for row in range(size):
        triangles[:, row, row] = scale[:, row]
        for column in range(row if below.size else 0):
            triangles[:, row, column] = below[:, order[row - 1, column]]
    return mean, triangles


@pytest.mark.parametrize("covariance, shapes", [("diagonal", [2, 4, 10]), ("full", [2, 5, 20])])
def test_the_features_are_means_scales_and_entries_below_the_diagonal(covariance, shapes):
    posterior = Gaussian(covariance=covariance)
    assert [posterior.feature_shape(LatentSpec(size)) for size in (1, 2, 5)] == [(width,) for width in shapes]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_density_is_scipys_with_covariance_l_l_transposed(size):
    posterior = built(size)
    features = features_of(posterior, size)
    mean, triangles = moments(features, size)
    distribution = posterior.distribution(tf.constant(features), context())
    assert distribution.batch_shape == (4,) and distribution.event_shape == (size,)
    z = np.random.RandomState(1).randn(4, size).astype(np.float32)
    expected = [
        scipy.stats.multivariate_normal(m, L @ L.T).logpdf(row) for m, L, row in zip(mean, triangles, z, strict=True)
    ]
    np.testing.assert_allclose(distribution.log_prob(z), expected, rtol=1e-4, atol=1e-4)  # float32, a triangular solve
    np.testing.assert_allclose(distribution.covariance(), triangles @ triangles.swapaxes(1, 2), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(distribution.mean(), mean)


def test_every_feature_below_the_diagonal_has_an_entry_of_its_own():
    posterior = built(4)
    features = np.zeros((1, 14), np.float32)
    features[0, 8:] = range(1, 7)
    factor = posterior.distribution(tf.constant(features), context()).scale.to_dense()[0].numpy()
    np.testing.assert_array_equal(np.sort(factor[np.tril_indices(4, -1)]), range(1, 7))
    assert np.all(factor[np.triu_indices(4, 1)] == 0)


def test_the_diagonal_density_is_scipys():
    posterior = built(3, "diagonal", min_scale=0.1)
    features = features_of(posterior, 3)
    mean, triangles = moments(features, 3, min_scale=0.1)
    z = np.random.RandomState(1).randn(4, 3).astype(np.float32)
    expected = scipy.stats.norm(mean, np.diagonal(triangles, axis1=1, axis2=2)).logpdf(z).sum(1)
    np.testing.assert_allclose(
        posterior.distribution(tf.constant(features), context()).log_prob(z), expected, rtol=1e-5
    )


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_draws_have_the_mean_and_the_covariance(covariance):
    posterior = built(3, covariance)
    features = features_of(posterior, 3, batch=1)
    mean, triangles = moments(features, 3)
    expected = (triangles @ triangles.swapaxes(1, 2))[0]
    z = posterior(tf.constant(np.repeat(features, 50_000, axis=0)), context()).z.numpy() - mean
    # Var(z_i z_j) = S_ii S_jj + S_ij^2; three means and nine covariances within five standard errors
    error = np.sqrt(np.outer(np.diag(expected), np.diag(expected)) + expected**2)
    assert np.all(np.abs(z.T @ z / 50_000 - expected) < 5 * error / np.sqrt(50_000))
    assert np.all(np.abs(z.mean(0)) < 5 * np.sqrt(np.diag(expected) / 50_000))


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_the_draw_is_reparameterised_and_a_function_of_the_seed(covariance):
    posterior = built(3, covariance)
    features = tf.constant(features_of(posterior, 3))
    with tf.GradientTape() as tape:
        tape.watch(features)
        latent = posterior(features, context())
    assert np.all(tape.gradient(latent.z, features) != 0)
    assert latent.value is latent.z
    np.testing.assert_array_equal(posterior(features, context()).z, latent.z)
    assert np.all(posterior(features, context(step=1)).z != latent.z)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_no_scale_falls_below_its_bound(covariance):
    posterior = built(2, covariance, min_scale=0.5)
    features = np.zeros((1, *posterior.feature_shape(LatentSpec(2))), np.float32)
    features[:, 2:4] = -100
    np.testing.assert_array_equal(posterior.distribution(tf.constant(features), context()).stddev(), [[0.5, 0.5]])


def test_the_single_draw_rate_of_a_full_covariance_is_unbiased():
    posterior = built(3)
    features = features_of(posterior, 3)
    q = posterior.distribution(tf.constant(features), context())
    p = tfd.Independent(tfd.Normal(tf.zeros(3), tf.ones(3)), 1)
    with pytest.raises(NotImplementedError):
        tfd.kl_divergence(q, p)
    z = q.sample(20_000, seed=[1, 2])
    estimates = rate(q, p, z).numpy()
    exact = tfd.kl_divergence(q, tfd.MultivariateNormalDiag(tf.zeros(3), tf.ones(3))).numpy()
    error = estimates.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(estimates.mean(axis=0) - exact) < 5 * error)  # four numbers within five standard errors


@pytest.mark.slow
def test_a_full_covariance_trains_and_moves_every_weight(tmp_path):
    experiment = points_experiment(posterior=Gaussian(covariance="full"), latent_size=3, steps=20)
    model = experiment.build()
    before = {name: np.array(variable) for name, variable in model.parameters().items()}
    Trainer(model, tmp_path, silent).train()
    for name, variable in model.parameters().items():
        assert np.all(np.isfinite(variable)) and np.all(np.array(variable) != before[name]), name


def test_settings_out_of_range_are_refused():
    with pytest.raises(UserError, match="min_scale must be positive, got 0"):
        Gaussian(min_scale=0)
    with pytest.raises(UserError, match="'banded'"):
        Gaussian(covariance="banded")
