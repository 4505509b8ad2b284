"""Divergences and transport between known distributions."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from tfdgm.evaluation.divergences import (
    game_value,
    grid,
    jsd,
    kl,
    on_common_support,
    optimal_discriminator,
    total_variation,
    transport_plan,
)


def test_the_kl_is_infinite_where_p_has_mass_and_q_has_none_and_only_there():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.25, 0.25])
    assert kl(p, q) == pytest.approx(0.5 * math.log(2))
    assert kl(q, p) == math.inf


def test_all_are_zero_between_a_law_and_itself():
    p = np.array([0.2, 0.0, 0.8])
    assert kl(p, p) == jsd(p, p) == total_variation(p, p) == 0


def test_disjoint_laws_are_as_far_apart_as_laws_can_be():
    p, q = np.array([0.3, 0.7, 0.0]), np.array([0.0, 0.0, 1.0])
    assert jsd(p, q) == pytest.approx(math.log(2)) and total_variation(p, q) == 1


def test_the_optimal_discriminator_is_certain_where_only_one_law_has_mass():
    found = optimal_discriminator(np.array([0.5, 0.0, 0.2]), np.array([0.0, 0.5, 0.6]))
    np.testing.assert_allclose(found, [1, 0, 0.25])


def test_two_sets_of_points_become_probabilities_on_their_union():
    x, y = np.array([[0, 0], [0, 0], [1, 2]]), np.array([[1, 2], [3, 0]])
    points, p, q = on_common_support(x, y)
    np.testing.assert_array_equal(points, [[0, 0], [1, 2], [3, 0]])
    np.testing.assert_allclose(p, [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(q, [0, 1 / 2, 1 / 2])


def test_the_plan_moves_no_more_mass_than_necessary():
    p, q = np.array([0.75, 0.25]), np.array([0.5, 0.0, 0.5])
    cost = np.abs(np.array([0.0, 1.0])[:, None] - np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(transport_plan(p, q, cost), [[0.5, 0, 0.25], [0, 0, 0.25]])


def test_kl_of_gaussians_on_a_grid_is_the_closed_form():
    x = np.linspace(-14, 14, 2_801)
    # log(s2/s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2; the sum over a grid is exact to rounding for smooth densities
    expected = math.log(1.5 / 0.8) + (0.8**2 + 0.7**2) / (2 * 1.5**2) - 0.5
    assert kl(norm.pdf(x, 0.2, 0.8) * 0.01, norm.pdf(x, 0.9, 1.5) * 0.01) == pytest.approx(expected, abs=1e-9)


def test_the_game_is_worth_twice_the_jsd_less_2_log_2_at_the_best_discriminator_and_less_at_others():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.7])
    value = game_value(np.log(p / q), p, q)
    assert value == pytest.approx(2 * jsd(p, q) - 2 * math.log(2), abs=1e-12)
    for worse in (np.log(p / q) + 0.5, 0.5 * np.log(p / q), np.zeros(3)):
        assert game_value(worse, p, q) < value
    assert game_value(np.zeros(3), p, p) == pytest.approx(-2 * math.log(2), abs=1e-12)


def test_the_game_does_not_overflow_at_a_discriminator_that_is_certain():
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert game_value(np.array([1e4, -1e4]), p, q) == 0.0


def test_a_grid_has_the_last_dimension_fastest_and_the_volume_of_a_cell():
    points, volume = grid(np.array([0.0, 0.5]), np.array([1.0, 3.0, 5.0]))
    np.testing.assert_array_equal(points[:4], [[0.0, 1.0], [0.0, 3.0], [0.0, 5.0], [0.5, 1.0]])
    assert volume == 1.0
