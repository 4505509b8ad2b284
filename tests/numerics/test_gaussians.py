"""Log densities of all pairs of points and Gaussians: against TFP's, and how exact they are at the stated bounds."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import gaussian_log_densities
from tfdgm.numerics import products
from tfdgm.numerics.products import full_precision_product

RANDOM = np.random.RandomState(0)


def near(count, size, scale, offset=0.0, dtype=np.float32):
    """Gaussians with means of spread 1 around an offset, and a point near each."""
    mean = (offset + RANDOM.randn(count, size)).astype(dtype)
    scales = (scale * (0.5 + RANDOM.rand(count, size))).astype(dtype)
    return (mean + scales * RANDOM.randn(count, size)).astype(dtype), mean, scales


def triangular(count, size):
    lower = np.tril(RANDOM.randn(count, size, size), -1)
    return lower + np.eye(size) * (0.2 + RANDOM.rand(count, size, 1))


def own(z, mean, scale):
    """log N(z_k; m_k, diag(s_k^2)) by differences, in float64."""
    z, mean, scale = (array.astype(np.float64) for array in (z, mean, scale))
    return np.sum(-(((z - mean) / scale) ** 2) / 2 - np.log(scale) - np.log(2 * np.pi) / 2, axis=1)


def term(mean, scale):
    """T of every Gaussian."""
    mean = mean.astype(np.float64)
    return np.sum(((mean - mean.mean(axis=0)) / scale) ** 2, axis=1)


def own_densities(*arrays, **settings):
    return np.diag(gaussian_log_densities(*map(tf.constant, arrays), **settings))


@pytest.mark.parametrize("size", [1, 5])
def test_diagonal_gaussians_have_the_densities_of_tfp(size):
    z, mean, scale = near(30, size, 0.3, dtype=np.float64)
    expected = tfd.MultivariateNormalDiag(mean, scale).log_prob(z[:12, None])
    found = gaussian_log_densities(*map(tf.constant, (z[:12], mean, scale)))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)  # float64 with terms of some 100


@pytest.mark.parametrize("size", [1, 5])
def test_gaussians_of_any_covariance_have_the_densities_of_tfp(size):
    z, mean, _ = near(30, size, 0.3, dtype=np.float64)
    scale = triangular(30, size)
    expected = tfd.MultivariateNormalTriL(mean, scale).log_prob(z[:12, None])
    found = gaussian_log_densities(*map(tf.constant, (z[:12], mean, scale)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)  # float64, with precisions of some 1,000
    single = [tf.constant(array.astype(np.float32)) for array in (z[:12], mean, scale)]
    np.testing.assert_allclose(gaussian_log_densities(*single), expected, rtol=1e-4, atol=1e-3)  # their rounding
    assert gaussian_log_densities(*single).dtype == tf.float32


def test_gradients_are_those_of_tfp():
    inputs = [tf.constant(array) for array in near(7, 3, 0.5, dtype=np.float64)]

    def gradients(densities):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = tf.reduce_sum(tf.reduce_logsumexp(densities(*inputs), axis=1))
        return tape.gradient(value, inputs)

    expected = gradients(lambda z, mean, scale: tfd.MultivariateNormalDiag(mean, scale).log_prob(z[:, None]))
    for found, exact in zip(gradients(gaussian_log_densities), expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-9)  # float64


@pytest.mark.parametrize("size", [1, 8, 40])
def test_up_to_the_stated_term_the_error_in_float64_is_below_a_thousandth(size):
    z, mean, scale = near(400, size, 1.0)
    largest = term(mean, scale).max()
    scale *= np.float32(np.sqrt(largest / 2e12))
    z = (mean + scale * RANDOM.randn(*mean.shape)).astype(np.float32)
    assert 1.9e12 < term(mean, scale).max() < 2.1e12
    assert np.abs(own_densities(z, mean, scale) - own(z, mean, scale)).max() < 1e-3


@pytest.mark.parametrize("size", [1, 8, 40])
def test_quick_densities_are_right_to_a_thousandth_on_either_side_of_their_bound(size):
    for largest in (4_000.0, 4_200.0, 1e6):
        z, mean, scale = near(400, size, 1.0)
        scale *= np.float32(np.sqrt(term(mean, scale).max() / largest))
        z = (mean + scale * RANDOM.randn(*mean.shape)).astype(np.float32)
        error = np.abs(own_densities(z, mean, scale, quick=True) - own(z, mean, scale)).max()
        assert error < (1e-3 if largest < 4_096 else 5e-5)  # float32 at first, then its rounding of the result alone


def test_an_offset_of_all_means_does_not_matter():
    for offset in (1e4, 1e7):
        mean = (offset + np.arange(40.0).reshape(20, 2)).astype(np.float32)  # representable
        scale = np.full([20, 2], 0.9, np.float32)
        z = mean + np.float32(1)
        for quick in (False, True):
            assert np.abs(own_densities(z, mean, scale, quick=quick) - own(z, mean, scale)).max() < 1e-4


def test_products_are_not_rounded_to_ten_bits_where_the_device_would(monkeypatch):
    left, right = (tf.constant(RANDOM.randn(5, 300).astype(np.float32) * 100) for _ in range(2))
    exact = left.numpy().astype(np.float64) @ right.numpy().T.astype(np.float64)
    assert not products.rounds_to_tf32()  # no GPU is visible in tests
    np.testing.assert_allclose(full_precision_product(left, right), exact, atol=1.0)  # float32, of terms of 10^4
    monkeypatch.setattr(products, "rounds_to_tf32", lambda: True)
    found = full_precision_product(left, right)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, exact, rtol=1e-7)  # rounded to float32 once, at the end
    np.testing.assert_allclose(
        full_precision_product(tf.cast(left, tf.float64), tf.cast(right, tf.float64)), exact, rtol=1e-12
    )
