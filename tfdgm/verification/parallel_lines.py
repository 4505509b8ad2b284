"""Example 1 of Arjovsky et al. 2017: (0, u) and (theta, u), u ~ U[0, 1].

The data plugin draws the same u for every theta, and the optimal coupling pairs points at distance |theta|. So the
exact values for the lines hold for the drawn points, without sampling error.
"""

import math
from collections.abc import Iterator

import numpy as np

from tfdgm.evaluation.divergences import jsd, kl, on_common_support, total_variation
from tfdgm.evaluation.transport import sliced_wasserstein, wasserstein
from tfdgm.verification.fixtures import experiment, rows
from tfdgm.verification.oracle import Finding, oracle


def _line(theta: float) -> np.ndarray:
    return rows(experiment("parallel_lines", f"data.parallel_lines.theta = {theta}"), "test")


@oracle
def apart() -> Iterator[Finding]:
    """theta != 0: KL = infinity both ways, JSD = log 2, TV = 1, W = |theta|, sliced W = 2 |theta| / pi."""
    x = _line(0.0)
    for theta in (-0.5, 0.25, 2.0):
        y = _line(theta)
        _, p, q = on_common_support(x, y)
        case = f"theta = {theta}: "
        yield Finding(f"{case}KL(p||q)", math.inf, kl(p, q), 0, "200 points each")
        yield Finding(f"{case}KL(q||p)", math.inf, kl(q, p), 0, "200 points each")
        yield Finding(f"{case}JSD", math.log(2), jsd(p, q), 1e-12, "200 points each")
        yield Finding(f"{case}TV", 1.0, total_variation(p, q), 1e-12, "200 points each")
        yield Finding(f"{case}W", abs(theta), wasserstein(x, y), 1e-9, "network simplex")
        # mean of |cos| over 1,000 directions: standard error 0.31 / sqrt(1000)
        sliced = sliced_wasserstein(x, y)
        yield Finding(f"{case}sliced W", 2 * abs(theta) / math.pi, sliced, 0.05 * abs(theta), "1,000 lines")


@oracle
def together() -> Iterator[Finding]:
    """theta = 0: KL = JSD = TV = W = 0."""
    x, y = _line(0.0), _line(0.0)
    _, p, q = on_common_support(x, y)
    yield Finding("KL", 0, kl(p, q), 1e-12, "200 points each")
    yield Finding("JSD", 0, jsd(p, q), 1e-12, "200 points each")
    yield Finding("TV", 0, total_variation(p, q), 1e-12, "200 points each")
    yield Finding("W", 0, wasserstein(x, y), 1e-12, "network simplex")
