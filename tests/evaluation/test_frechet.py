"""Fréchet distance against closed forms, another matrix root, and transport maps."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from tfdgm.evaluation.frechet import frechet_distance, gaussian_frechet_distance, moments


def covariance(size: int, rank: int, seed: int) -> np.ndarray:
    factor = np.random.RandomState(seed).randn(size, rank)
    return factor @ factor.T / rank


def by_sqrtm(m1, c1, m2, c2):
    return np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)


def test_gaussians_of_full_rank_agree_with_the_matrix_root_of_scipy():
    m1, m2 = np.random.RandomState(0).randn(2, 6)
    c1, c2 = covariance(6, 20, 1), covariance(6, 20, 2)
    assert gaussian_frechet_distance(m1, c1, m2, c2) == pytest.approx(by_sqrtm(m1, c1, m2, c2), rel=1e-9)  # float64


def test_covariances_with_common_axes_compare_by_standard_deviations():
    axes = np.linalg.qr(np.random.RandomState(0).randn(5, 5))[0]
    s1, s2 = np.array([3, 2, 1, 1, 0]), np.array([1, 2, 0.5, 0, 0])  # of rank 4 and 3
    c1, c2 = ((axes * s**2) @ axes.T for s in (s1, s2))
    shift = np.array([1.0, 0, 0, -2, 0])
    exact = np.sum((s1 - s2) ** 2) + 5
    # the root of an eigenvalue that should be 0 and is 1e-16 is 1e-8, once for each of the two that are
    assert gaussian_frechet_distance(shift, c1, np.zeros(5), c2) == pytest.approx(exact, abs=1e-7)


def test_fewer_points_than_features_lose_no_digits():
    # y = A x for symmetric positive A is the optimal transport map, so the distance is the mean of ||x - A x||^2
    size, n = 40, 12
    x = np.random.RandomState(0).randn(n, size)
    x -= x.mean(axis=0)
    a = covariance(size, 60, 1)
    assert np.linalg.matrix_rank(moments(x)[1]) == n - 1
    exact = np.sum((x - x @ a) ** 2) / (n - 1)
    # 29 directions without variance count as 1e-8 at most, as above
    assert frechet_distance(x, x @ a) == pytest.approx(exact, abs=1e-5)


def test_a_set_has_no_distance_from_itself_and_one_that_is_shifted_that_of_the_shift():
    x = np.random.RandomState(0).randn(30, 50).astype(np.float32)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)  # float64 sums of size 50
    assert frechet_distance(x, x.astype(np.float64) + 2) == pytest.approx(4 * 50, rel=1e-9)


def test_the_moments_are_mean_and_unbiased_covariance():
    x = np.random.RandomState(0).randn(20, 3)
    mean, found = moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=0))
    np.testing.assert_allclose(found, np.cov(x.T), atol=1e-14)  # float64


def test_two_samples_of_one_gaussian_show_the_documented_bias():
    size, n, repeats = 4, 1_000, 400
    random = np.random.RandomState(0)
    values = [frechet_distance(random.randn(n, size), random.randn(n, size)) for _ in range(repeats)]
    exact = size * (size + 5) / (2 * n)
    # four standard errors, and the next order in 1/n, of which 2 % is generous at n = 1,000
    assert np.mean(values) == pytest.approx(exact, abs=4 * np.std(values) / np.sqrt(repeats) + 0.02 * exact)


def test_sets_without_variance_are_as_far_as_their_means():
    same, other = np.full((8, 3), 0.1), np.tile([0.1, 0.5, -0.2], (6, 1))
    assert frechet_distance(same, other) == pytest.approx(0.16 + 0.09, rel=1e-12)  # float64
    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-15)
    spread = np.random.RandomState(0).randn(50, 3)
    exact = np.sum((spread.mean(axis=0) - 0.1) ** 2) + np.var(spread, axis=0, ddof=1).sum()
    assert frechet_distance(same, spread) == pytest.approx(exact, rel=1e-12)


def test_points_in_more_dimensions_than_points_agree_with_the_distance_of_their_moments():
    random = np.random.RandomState(3)
    real, fake = random.randn(12, 50), 1 + 2 * random.randn(9, 50)
    exact = gaussian_frechet_distance(*moments(real), *moments(fake))
    # the moments' roots have an error of about 1e-7 in each of the 40 directions without variance
    assert frechet_distance(real, fake) == pytest.approx(exact, abs=1e-5)
