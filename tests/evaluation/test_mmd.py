"""MMD against sums over pairs and the closed form of two Gaussians."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from tfdgm.evaluation import distances
from tfdgm.evaluation.mmd import median_distance, mmd


def by_definition(x, y, bandwidth):
    def kernel(a, b):
        return np.exp(-np.sum((a - b) ** 2) / (2 * bandwidth**2))

    def within(z):
        return np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])

    return within(x) + within(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def expected_kernel(m1, v1, m2, v2, bandwidth):
    """E k(x, y) for independent x ~ N(m1, v1 I), y ~ N(m2, v2 I)."""
    total = bandwidth**2 + v1 + v2
    return (bandwidth**2 / total) ** (len(m1) / 2) * np.exp(-np.sum((m1 - m2) ** 2) / (2 * total))


def test_the_estimate_is_the_mean_over_different_pairs(monkeypatch):
    monkeypatch.setattr(distances, "_AT_ONCE", 40)
    x, y = np.random.RandomState(0).randn(11, 3), np.random.RandomState(1).randn(17, 3) + 1
    for bandwidth in (0.5, 2.0):
        assert mmd(x, y, bandwidth) == pytest.approx(by_definition(x, y, bandwidth), rel=1e-12)  # float64


@pytest.mark.parametrize("shift, scale", [(0.0, 1.0), (0.7, 1.5)])
def test_in_expectation_it_is_the_closed_form_of_two_gaussians(shift, scale):
    random, bandwidth, repeats = np.random.RandomState(0), 1.3, 600
    origin, mean = np.zeros(2), np.array([shift, 0])
    exact = (
        expected_kernel(origin, 1, origin, 1, bandwidth)
        + expected_kernel(mean, scale**2, mean, scale**2, bandwidth)
        - 2 * expected_kernel(origin, 1, mean, scale**2, bandwidth)
    )
    values = [mmd(random.randn(20, 2), mean + scale * random.randn(30, 2), bandwidth) for _ in range(repeats)]
    error = np.std(values) / np.sqrt(repeats)
    assert np.mean(values) == pytest.approx(exact, abs=4 * error)
    assert error < 0.005  # with pairs of a point and itself the bias would be 0.05


def test_the_bandwidth_is_the_median_distance_between_different_points():
    points = np.random.RandomState(0).randn(51, 3)
    assert median_distance(points) == pytest.approx(np.median(pdist(points)), rel=1e-12)  # float64


def test_the_bandwidth_of_many_points_is_that_of_a_thousand_of_them():
    points = np.random.RandomState(0).randn(3_997, 2)
    chosen = points[::4]
    assert len(chosen) == 1_000
    assert median_distance(points) == pytest.approx(np.median(cdist(chosen, chosen)[np.triu_indices(1_000, 1)]))
