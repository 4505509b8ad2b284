"""Optimal transport, against linear programming and closed forms of Gaussians."""

import math
from collections.abc import Iterator

import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import linprog
from scipy.spatial.distance import cdist
from scipy.stats import norm

from tfdgm.evaluation.divergences import transport_plan
from tfdgm.evaluation.frechet import gaussian_frechet_distance
from tfdgm.evaluation.transport import line_cost, sliced_wasserstein, wasserstein
from tfdgm.verification.oracle import Finding, oracle


@oracle
def worked_example() -> Iterator[Finding]:
    """Piles (3, 2, 1, 4) to (1, 2, 4, 3) on a line: 5 units of earth times length = sum of |F - G| (Weng 2019)."""
    p, q = np.array([3.0, 2, 1, 4]), np.array([1.0, 2, 4, 3])
    places = np.arange(4.0)
    cost = np.abs(places[:, None] - places)
    plan = transport_plan(p, q, cost)
    yield Finding("cost", 5, np.sum(plan * cost), 1e-12, "network simplex")
    yield from _is_a_plan(plan, p, q)
    points = [np.repeat(places, piles.astype(int))[:, None] for piles in (p, q)]
    yield Finding("W of the 10 units", 0.5, wasserstein(*points), 1e-12, "network simplex")


@oracle
def linear_programming() -> Iterator[Finding]:
    """min over P >= 0 with marginals p, q of sum P_ij |x_i - y_j|^s, by SciPy's linear program."""
    p, q, distances = _finite_measures()
    for order in (1, 2):
        cost = distances**order
        plan = transport_plan(p, q, cost)
        marginals = [np.repeat(np.eye(5), 7, axis=1), np.tile(np.eye(7), 5)]
        program = linprog(cost.ravel(), A_eq=np.concatenate(marginals), b_eq=np.concatenate([p, q]))
        case = f"s = {order}: "
        yield Finding(f"{case}cost", program.fun, np.sum(plan * cost), 1e-9, "network simplex")
        yield from _is_a_plan(plan, p, q, case)


@oracle
def duality() -> Iterator[Finding]:
    """Primal W_1 = max over |f_i - f_j| <= d_ij of sum f dp - sum f dq (Kantorovich-Rubinstein)."""
    p, q, distances = _finite_measures()
    primal = np.sum(transport_plan(p, q, distances) * distances)
    dual, potential = kantorovich_rubinstein(np.concatenate([_X, _Y]), np.append(p, 0 * q), np.append(0 * p, q))
    yield Finding("5 and 7 points", dual, primal, 1e-9, "network simplex")
    # complementary slackness: mass moves only where f is steepest
    plan = transport_plan(p, q, distances)
    decrease = potential[:5, None] - potential[None, 5:]
    yield Finding(
        "f decreases by d where mass moves", 0, np.sum(plan * (distances - decrease)), 1e-9, "network simplex"
    )


@oracle
def gaussians() -> Iterator[Finding]:
    """W_2^2 = |m1-m2|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2); on the line W_1 = E|m + s Z|, m and s the differences."""
    random = np.random.RandomState(0)
    first, second = random.randn(2, 3)
    a, b = (root @ root.T for root in random.randn(2, 3, 3))
    root = np.real(sqrtm(a))
    exact = np.sum((first - second) ** 2) + np.trace(a + b - 2 * np.real(sqrtm(root @ b @ root)))
    yield Finding("W_2^2 in R^3", exact, gaussian_frechet_distance(first, a, second, b), 1e-6, "closed form")
    same = gaussian_frechet_distance(first, a, second, a)
    yield Finding("W_2^2, one covariance", np.sum((first - second) ** 2), same, 1e-9, "closed form")
    mean, scale = 0.7, -0.5  # N(0.7, 0.5^2) against N(0, 1): the optimal map leaves 0.7 - 0.5 z
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    narrow, standard = (0.7 + 0.5 * quantiles)[None], quantiles[None]
    folded = abs(scale) * math.sqrt(2 / math.pi) * math.exp(-(mean**2) / (2 * scale**2))
    folded += mean * (1 - 2 * norm.cdf(-mean / abs(scale)))
    # mid-quantiles truncate the tails beyond 1 / 20,000
    yield Finding("W_1 on the line", folded, line_cost(narrow, standard, 1)[0], 1e-4, "20,000 quantiles")
    yield Finding("W_2^2 on the line", mean**2 + scale**2, line_cost(narrow, standard, 2)[0], 2e-4, "20,000 quantiles")


@oracle
def translation() -> Iterator[Finding]:
    """x and x + a: W = |a|; sliced in the plane E|<u, a>| = 2 |a| / pi and W_2 = |a| / sqrt(2)."""
    x = np.random.RandomState(0).randn(100, 2)
    y = x + np.array([3.0, 4.0])
    yield Finding("W", 5, wasserstein(x, y), 1e-9, "network simplex")
    # 1,000 directions: |cos| has standard deviation 0.31, cos^2 0.35; five standard errors
    yield Finding("sliced W_1", 10 / math.pi, sliced_wasserstein(x, y), 0.25, "1,000 lines")
    yield Finding("sliced W_2", 5 / math.sqrt(2), sliced_wasserstein(x, y, order=2), 0.2, "1,000 lines")


_X, _Y = np.random.RandomState(1).randn(5, 2), np.random.RandomState(2).randn(7, 2)


def _finite_measures() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights on 5 and on 7 points of the plane, and the distances between the points."""
    random = np.random.RandomState(3)
    return random.dirichlet(np.ones(5)), random.dirichlet(np.ones(7)), cdist(_X, _Y)


def _is_a_plan(plan: np.ndarray, p: np.ndarray, q: np.ndarray, case: str = "") -> Iterator[Finding]:
    yield Finding(f"{case}row sums are p", 0, np.abs(plan.sum(axis=1) - p).max(), 1e-9, "network simplex")
    yield Finding(f"{case}column sums are q", 0, np.abs(plan.sum(axis=0) - q).max(), 1e-9, "network simplex")
    yield Finding(f"{case}no negative mass", 0, plan.min(), 0, "network simplex", ">=")


def kantorovich_rubinstein(points: np.ndarray, p: np.ndarray, q: np.ndarray) -> tuple[float, np.ndarray]:
    """Solve the dual as a linear program; return its value and a potential f `[n]` on points `[n, d]`."""
    count = len(points)
    above, below = np.divmod(np.arange(count**2), count)
    differences = np.eye(count)[above] - np.eye(count)[below]
    limits = cdist(points, points).ravel()
    program = linprog(q - p, A_ub=differences, b_ub=limits, bounds=(None, None))
    return -program.fun, program.x
