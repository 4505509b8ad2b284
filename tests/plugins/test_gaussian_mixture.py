"""The density of many Gaussians against TFP's, and its gradient against automatic differentiation."""

import numpy as np
import pytest
import tensorflow as tf
import tfdgm_priors.gaussian_mixture
from scipy.special import logsumexp
from tensorflow_probability import distributions as tfd
from tfdgm_priors.gaussian_mixture import GaussianMixture, log_mixture_density

from tfdgm import gaussian_log_densities

COMPONENTS, SIZE, BATCH = 1_500, 6, 50


def mixture(scale, dtype):
    random = np.random.RandomState(0)
    mean = random.randn(COMPONENTS, SIZE).astype(dtype)
    scales = (scale * np.exp(0.3 * random.randn(COMPONENTS, SIZE))).astype(dtype)
    own = random.randint(0, COMPONENTS, BATCH)
    z = (mean[own] + scales[own] * random.randn(BATCH, SIZE)).astype(dtype)
    return z, mean, scales, own


def reference(z, mean, scales):
    z, mean, scales = (array.astype(np.float64) for array in (z, mean, scales))
    z = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        components = tfd.MultivariateNormalDiag(mean, scales)
        value = tfd.MixtureSameFamily(tfd.Categorical(logits=np.zeros(len(mean))), components).log_prob(z)
    return value.numpy(), tape.gradient(value, z).numpy()


# float64: rounding of a sum of six squares; float32: 1e-3 nats is what training can tolerate, also at tiny scales
@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-3)])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("pairs_at_once", [1 << 14, 1 << 18])  # five chunks, the last one filled up; and one
@pytest.mark.parametrize("kept", [False, True])
def test_the_density_and_its_gradient_are_those_of_tfp(kept, pairs_at_once, scale, dtype, tolerance, monkeypatch):
    monkeypatch.setattr(tfdgm_priors.gaussian_mixture, "_PAIRS_AT_ONCE", pairs_at_once)
    monkeypatch.setattr(tfdgm_priors.gaussian_mixture, "_PAIRS_KEPT", BATCH * 2 * COMPONENTS if kept else 0)
    z, mean, scales, _ = mixture(scale, dtype)

    @tf.function(jit_compile=True)
    def density(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = log_mixture_density(z, tf.constant(mean), tf.constant(scales))
        return value, tape.gradient(value, z)

    value, gradient = density(tf.constant(z))
    expected, expected_gradient = reference(z, mean, scales)
    np.testing.assert_allclose(value.numpy(), expected, atol=tolerance)
    # relative to the largest entry: the gradient grows as 1 / scale
    np.testing.assert_allclose(
        gradient.numpy() / np.abs(expected_gradient).max(),
        expected_gradient / np.abs(expected_gradient).max(),
        atol=tolerance,
    )


@pytest.mark.parametrize("components", [128, 100])  # two chunks, the last one whole or filled up
def test_means_ten_million_standard_deviations_from_0_keep_their_density(components, monkeypatch):
    monkeypatch.setattr(tfdgm_priors.gaussian_mixture, "_PAIRS_AT_ONCE", 1)  # chunks of 64
    mean = (1e7 + np.random.RandomState(0).randint(40, size=(components, 2))).astype(np.float32)  # exact in float32
    scales = np.full_like(mean, 0.9)
    z = mean[:BATCH] + np.float32(1)
    expected, _ = reference(z, mean, scales)
    found = log_mixture_density(*map(tf.constant, (z, mean, scales)))
    np.testing.assert_allclose(found, expected, atol=1e-3)  # as stated; with the origin at 0 the error is 0.03


def test_leaving_a_component_out_equals_brute_force():
    z, mean, scales, own = mixture(1.0, np.float64)
    densities = gaussian_log_densities(tf.constant(z), tf.constant(mean), tf.constant(scales)).numpy()
    densities[np.arange(BATCH), own] = -np.inf
    value = log_mixture_density(tf.constant(z), tf.constant(mean), tf.constant(scales), tf.constant(own))
    # float64 rounding
    np.testing.assert_allclose(value.numpy(), logsumexp(densities, axis=1) - np.log(COMPONENTS - 1), atol=1e-10)


def test_samples_have_the_moments_of_the_mixture():
    _, mean, scales, _ = mixture(1.0, np.float32)
    count = 200_000
    drawn = GaussianMixture(tf.constant(mean), tf.constant(scales), learned=False).sample(count, seed=[1, 2]).numpy()
    variance = (scales**2).mean(axis=0) + mean.var(axis=0)
    # five standard errors of the mean of `count` draws
    np.testing.assert_allclose(drawn.mean(axis=0), mean.mean(axis=0), atol=5 * np.sqrt(variance.max() / count))
    # the variance of a sum of near-Gaussians has relative standard error sqrt(2 / count), here about doubled by
    # the components' spread; five of them
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=10 * np.sqrt(2 / count))
