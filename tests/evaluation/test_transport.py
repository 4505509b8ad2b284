"""Wasserstein distances against other solvers and closed forms."""

import numpy as np
import ot
import pytest
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from scipy.special import gamma
from scipy.stats import wasserstein_distance

from tfdgm.evaluation import transport
from tfdgm.evaluation.frechet import gaussian_frechet_distance
from tfdgm.evaluation.transport import line_cost, sliced_wasserstein, unit_vectors, wasserstein


def points(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.RandomState(seed).randn(n, d)


def test_sets_of_one_size_are_matched_one_to_one():
    x, y = points(70, 3, 0), 2 * points(70, 3, 1)
    costs = cdist(x, y)
    assert wasserstein(x, y) == pytest.approx(costs[linear_sum_assignment(costs)].mean(), rel=1e-12)  # float64


def test_in_one_dimension_it_is_the_distance_between_the_distribution_functions_whatever_the_sizes():
    x, y = points(40, 1, 0), points(65, 1, 1) + 0.5
    exact = wasserstein_distance(x[:, 0], y[:, 0])
    assert wasserstein(x, y) == pytest.approx(exact, rel=1e-12)  # float64
    assert sliced_wasserstein(x, y) == pytest.approx(exact, rel=1e-12)


def test_a_set_that_is_moved_is_as_far_as_it_was_moved():
    x, shift = points(80, 4, 0), np.array([0.3, -0.4, 1.2, 0.0])
    assert wasserstein(x, x + shift) == pytest.approx(1.3, rel=1e-12)  # float64
    assert wasserstein(x, np.repeat(x, 2, axis=0)) == pytest.approx(0, abs=1e-12)


def test_a_sample_converges_to_the_closed_form_of_two_gaussians():
    # W2, by the same solver with squared costs; y is the transport of x, so that only the moments of x are random
    x = points(800, 2, 0)
    y = x * [2.0, 0.5] + [1, 0]
    squared = ot.emd2([], [], cdist(x, y, "sqeuclidean"))
    exact = gaussian_frechet_distance(np.zeros(2), np.eye(2), np.array([1.0, 0]), np.diag([4, 0.25]))
    assert exact == pytest.approx(1 + 1 + 0.25)
    # the mean of (x1 + 1)^2 + x2^2 / 4, with variance 6 + 1/8, over 800 points; four standard errors
    assert squared == pytest.approx(exact, abs=4 * np.sqrt(6.125 / 800))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sizes", [(50, 50), (50, 80)])
def test_slices_agree_with_those_of_pot_along_the_same_lines(monkeypatch, order, sizes):
    monkeypatch.setattr(transport, "_AT_ONCE", 7 * 80)  # blocks of 7 or 11 of the 30 lines
    x, y = points(sizes[0], 5, 0), 1.5 * points(sizes[1], 5, 1) + 0.2
    lines = unit_vectors(30, 5, 3)
    reference = ot.sliced_wasserstein_distance(x, y, projections=lines.T, p=order)
    assert sliced_wasserstein(x, y, order, 30, 3) == pytest.approx(reference, rel=1e-10)  # float64


def test_the_directions_are_uniform_on_the_sphere():
    lines = unit_vectors(20_000, 3, 0)
    np.testing.assert_allclose(np.linalg.norm(lines, axis=1), 1)
    # each coordinate has mean 0 and mean square 1/3, with variances 1/3 and 4/45; five standard errors
    np.testing.assert_allclose(lines.mean(axis=0), 0, atol=5 * np.sqrt(1 / 3 / 20_000))
    np.testing.assert_allclose(np.mean(lines**2, axis=0), 1 / 3, atol=5 * np.sqrt(4 / 45 / 20_000))


def test_slices_of_a_set_that_is_moved_see_the_part_of_the_move_along_them():
    x, shift = points(30, 6, 0), np.full(6, 2.0)
    length = np.linalg.norm(shift)
    # <u, shift> has mean square |shift|^2 / d, and mean modulus |shift| Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2))
    modulus = length * gamma(3) / (np.sqrt(np.pi) * gamma(3.5))
    # over 20,000 directions with coefficients of variation below 1.5: four standard errors are 4 %
    assert sliced_wasserstein(x, x + shift, 1, 20_000) == pytest.approx(modulus, rel=0.04)
    assert sliced_wasserstein(x, x + shift, 2, 20_000) == pytest.approx(length / np.sqrt(6), rel=0.02)  # of a root


def test_slices_of_two_centred_gaussians_compare_their_scales():
    x, y = points(20_000, 3, 0), 3 * points(20_000, 3, 1)
    # along every line N(0, 1) against N(0, 9): W1 is 2 E|z|, W2 is 2. The error is that of two standard deviations
    # of 20,000 draws, 1/200 and 3/200 of sigma, averaged over lines that share the draws; four of them
    assert sliced_wasserstein(x, y, 1, 100) == pytest.approx(2 * np.sqrt(2 / np.pi), abs=0.065)
    assert sliced_wasserstein(x, y, 2, 100) == pytest.approx(2, abs=0.065)


def test_the_sliced_distance_of_order_one_is_at_most_the_exact_one():
    x, y = points(60, 4, 0), points(60, 4, 1) + 1
    assert 0 < sliced_wasserstein(x, y) < wasserstein(x, y)


def test_the_same_seed_has_the_same_directions():
    x, y = points(20, 4, 0), points(20, 4, 1)
    assert sliced_wasserstein(x, y) == sliced_wasserstein(x, y)
    assert sliced_wasserstein(x, y, seed=1) != sliced_wasserstein(x, y, seed=2)


def test_quantiles_of_unequal_sizes_are_those_of_repeated_points():
    x, y = points(2, 6, 0), points(2, 4, 1)
    repeated = line_cost(np.repeat(x, 2, axis=1), np.repeat(y, 3, axis=1), 2)
    np.testing.assert_allclose(line_cost(x, y, 2), repeated, rtol=1e-12)  # float64


def test_a_plan_has_the_marginals_and_the_cost_that_linear_programming_finds():
    random = np.random.RandomState(2)
    p, q, cost = random.dirichlet(np.ones(6)), random.dirichlet(np.ones(9)), random.rand(6, 9)
    rows = np.kron(np.eye(6), np.ones(9))
    columns = np.kron(np.ones(6), np.eye(9))
    program = linprog(cost.ravel(), A_eq=np.concatenate([rows, columns]), b_eq=np.concatenate([p, q]))
    found = transport.transport(p, q, cost)
    assert found.cost == pytest.approx(program.fun, abs=1e-9)
    assert np.sum(found.plan * cost) == pytest.approx(found.cost, abs=1e-12)
    np.testing.assert_allclose(found.plan.sum(axis=1), p, atol=1e-12)
    np.testing.assert_allclose(found.plan.sum(axis=0), q, atol=1e-12)
    assert found.plan.min() >= 0


def test_the_potentials_of_a_plan_prove_that_it_is_optimal():
    x, y = points(30, 2, 0), points(45, 2, 1) + 1.0
    p, q, cost = np.full(30, 1 / 30), np.full(45, 1 / 45), cdist(x, y)
    found = transport.transport(p, q, cost)
    assert np.max(found.u[:, None] + found.v - cost) <= 1e-12
    assert p @ found.u + q @ found.v == pytest.approx(found.cost, abs=1e-12)
    assert found.cost == pytest.approx(wasserstein(x, y), abs=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e30])
def test_transport_follows_the_units_of_x(scale):
    x, y = points(200, 2, 0), points(200, 2, 1) + 0.3
    assert wasserstein(scale * x, scale * y) == pytest.approx(scale * wasserstein(x, y), rel=1e-12)  # float64
    p, q = np.full(200, 1 / 200), np.full(200, 1 / 200)
    solved = transport.transport(p, q, scale * cdist(x, y))
    assert p @ solved.u + q @ solved.v == pytest.approx(solved.cost, rel=1e-9)


def test_equal_points_are_at_no_distance():
    assert wasserstein(np.ones((9, 2)), np.ones((7, 2))) == 0
    assert sliced_wasserstein(np.ones((9, 2)), np.ones((7, 2))) == pytest.approx(0, abs=1e-12)


def test_a_plan_that_is_not_optimal_is_refused(monkeypatch):
    emd = ot.emd

    def hurried(*arguments, **named):
        return emd(*arguments, **{**named, "numItermax": 5})

    monkeypatch.setattr(ot, "emd", hurried)
    with pytest.raises(ArithmeticError, match="no optimal transport plan found: numItermax reached"):
        wasserstein(points(100, 2, 0), points(100, 2, 1))
