"""Divergences against closed forms, and the game that they are the value of."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from tfdgm.evaluation.divergences import empirical, game_value, grid, jsd, kl, log_normal, optimal_discriminator

LINE, STEP = np.linspace(-14, 14, 2_801), 0.01


def test_kl_of_outcomes_is_the_sum_by_hand():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    with np.errstate(divide="ignore"):
        assert kl(np.log(p), np.log(q)) == pytest.approx(0.5 * math.log(2), abs=1e-15)
        assert kl(np.log(q), np.log(p)) == math.inf


def test_kl_of_gaussians_is_the_closed_form():
    # log(s2/s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2; the grid's sum is exact to rounding for smooth densities
    expected = math.log(1.5 / 0.8) + (0.8**2 + 0.7**2) / (2 * 1.5**2) - 0.5
    assert kl(log_normal(LINE, 0.2, 0.8), log_normal(LINE, 0.9, 1.5), STEP) == pytest.approx(expected, abs=1e-9)


def test_jsd_is_symmetric_and_log_2_without_overlap_and_0_between_equals():
    p, q = log_normal(LINE, 0.0, 1.0), log_normal(LINE, 1.5, 0.7)
    assert jsd(p, q, STEP) == pytest.approx(jsd(q, p, STEP), abs=1e-12)
    assert 0.0 < jsd(p, q, STEP) < math.log(2)
    assert jsd(p, p, STEP) == pytest.approx(0.0, abs=1e-12)
    apart = log_normal(LINE, -7.0, 0.1), log_normal(LINE, 7.0, 0.1)
    assert jsd(*apart, STEP) == pytest.approx(math.log(2), abs=1e-9)


def test_the_best_discriminator_is_the_share_of_the_data_and_the_game_is_worth_twice_the_jsd():
    p, q = log_normal(LINE, 0.0, 1.0), log_normal(LINE, 1.5, 0.7)
    best = optimal_discriminator(p, q)
    np.testing.assert_allclose(best, np.exp(p) / (np.exp(p) + np.exp(q)), atol=1e-12)
    value = game_value(p - q, p, q, STEP)
    assert value == pytest.approx(2 * jsd(p, q, STEP) - 2 * math.log(2), abs=1e-9)
    for worse in (p - q + 0.5, 0.5 * (p - q), np.zeros_like(p)):
        assert game_value(worse, p, q, STEP) < value
    assert game_value(np.zeros_like(p), p, p, STEP) == pytest.approx(-2 * math.log(2), abs=1e-9)


def test_the_game_does_not_overflow_at_a_discriminator_that_is_certain():
    p, q = log_normal(LINE, -5.0, 0.05), log_normal(LINE, 5.0, 0.05)
    assert game_value(p - q, p, q, STEP) == pytest.approx(0.0, abs=1e-9)


def test_empirical_measures_meet_on_their_common_points():
    x, y = np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([[0.0, 2.0], [1.0, 1.0], [1.0, 1.0], [0.0, 2.0]])
    p, q = (np.exp(log) for log in empirical(x, y))
    np.testing.assert_allclose(p, [0.5, 0.5, 0.0])
    np.testing.assert_allclose(q, [0.0, 0.5, 0.5])
    assert jsd(*empirical(x, y)) == pytest.approx(0.5 * math.log(2), abs=1e-12)
    assert kl(*empirical(x, y)) == math.inf


def test_a_grid_has_the_last_dimension_fastest_and_the_volume_of_a_cell():
    points, volume = grid(np.array([0.0, 0.5]), np.array([1.0, 3.0, 5.0]))
    np.testing.assert_array_equal(points[:4], [[0.0, 1.0], [0.0, 3.0], [0.0, 5.0], [0.5, 1.0]])
    assert volume == 1.0


def test_the_normal_density_is_scipys_in_one_and_in_more_dimensions():
    x = np.random.RandomState(0).randn(5, 2)
    np.testing.assert_allclose(log_normal(x, 0.3, 1.7), norm(0.3, 1.7).logpdf(x))
    expected = multivariate_normal([0.3, -1.0], 1.7**2 * np.eye(2)).logpdf(x)
    np.testing.assert_allclose(log_normal(x, [0.3, -1.0], 1.7), expected)
