"""Implications between convergences: KL => JSD => W on a bounded set, not conversely (Arjovsky et al. 2017)."""

import math
from collections.abc import Iterator

import numpy as np

from tfdgm.evaluation.divergences import jsd, kl, on_common_support, total_variation, transport_plan
from tfdgm.evaluation.transport import wasserstein
from tfdgm.verification.fixtures import experiment, rows
from tfdgm.verification.oracle import Finding, oracle

#: Distances between the points 0 and 1 of the line.
_DISTANCES = np.array([[0.0, 1.0], [1.0, 0.0]])
_SHIFTS = (0.1, 0.01, 0.001)


def _all_of(p: np.ndarray, q: np.ndarray) -> tuple[float, float, float]:
    return kl(p, q), jsd(p, q), float(np.sum(transport_plan(p, q, _DISTANCES) * _DISTANCES))


@oracle
def implied() -> Iterator[Finding]:
    """(1/2 + a, 1/2 - a) on {0, 1}, a -> 0: KL -> 0, so JSD -> 0 since JSD <= log 2 sqrt(KL/2), so W -> 0 (W = a)."""
    q = np.array([0.5, 0.5])
    for shift in _SHIFTS:
        p = np.array([0.5 + shift, 0.5 - shift])
        divergence, shannon, distance = _all_of(p, q)
        exact = np.sum(p * np.log(2 * p))
        yield Finding(f"a = {shift}: KL", exact, divergence, 1e-12, "sum")
        yield Finding(f"a = {shift}: JSD", math.log(2) * math.sqrt(exact / 2), shannon, 0, "sum", "<=")
        yield Finding(f"a = {shift}: JSD >= TV^2 / 2", total_variation(p, q) ** 2 / 2, shannon, 0, "sum", ">=")
        yield Finding(f"a = {shift}: W", shift, distance, 1e-12, "network simplex")


@oracle
def jsd_without_kl() -> Iterator[Finding]:
    """(1 - a, a) against (1, 0), a -> 0: JSD -> 0, but KL is infinite throughout."""
    q = np.array([1.0, 0.0])
    for shift in _SHIFTS:
        divergence, shannon, _ = _all_of(np.array([1 - shift, shift]), q)
        half = 1 - shift / 2
        exact = (shift * math.log(2) + (1 - shift) * math.log((1 - shift) / half) - math.log(half)) / 2
        yield Finding(f"a = {shift}: KL", math.inf, divergence, 0, "sum")
        yield Finding(f"a = {shift}: JSD", exact, shannon, 1e-12, "sum")


@oracle
def w_without_jsd() -> Iterator[Finding]:
    """Parallel lines at distance a -> 0: W = a -> 0, but JSD = log 2 and KL = infinity throughout."""
    x = rows(experiment("parallel_lines", "data.parallel_lines.theta = 0.0"), "test")
    for shift in _SHIFTS:
        y = rows(experiment("parallel_lines", f"data.parallel_lines.theta = {shift}"), "test")
        _, p, q = on_common_support(x, y)
        yield Finding(f"a = {shift}: KL", math.inf, kl(p, q), 0, "200 points each")
        yield Finding(f"a = {shift}: JSD", math.log(2), jsd(p, q), 1e-12, "200 points each")
        yield Finding(f"a = {shift}: W", shift, wasserstein(x, y), 1e-8, "network simplex")  # float32 points
