"""Divergences and transport between known laws."""

import math

import numpy as np
import pytest

from tfdgm.evaluation.divergences import (
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


def test_the_plan_moves_what_must_move_and_leaves_the_rest():
    p, q = np.array([0.75, 0.25]), np.array([0.5, 0.0, 0.5])
    cost = np.abs(np.array([0.0, 1.0])[:, None] - np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(transport_plan(p, q, cost), [[0.5, 0, 0.25], [0, 0, 0.25]])
