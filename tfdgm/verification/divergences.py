"""Divergences of known distributions, against closed forms and SciPy's integrals."""

import math
from collections.abc import Iterator

import numpy as np
from scipy.integrate import quad
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm

from tfdgm.evaluation.divergences import jsd, kl, total_variation
from tfdgm.evaluation.modes import kl_to_uniform
from tfdgm.verification.oracle import Finding, oracle


@oracle
def gaussians() -> Iterator[Finding]:
    """KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1 - log s^2) / 2, on a grid; JSD and TV by SciPy's quadrature."""
    cells, step = np.linspace(-15, 15, 6_001, retstep=True)
    mean, scale = 1.5, 0.75
    first, second = norm(mean, scale), norm(0, 1)
    p, q = (density.pdf(cells) * step for density in (first, second))
    exact = (mean**2 + scale**2 - 1 - math.log(scale**2)) / 2
    yield Finding("KL(p||q)", exact, kl(p, q), 1e-6, "grid of step 0.005")
    reverse = ((mean**2 + 1) / scale**2 - 1 + math.log(scale**2)) / 2
    yield Finding("KL(q||p)", reverse, kl(q, p), 1e-6, "grid of step 0.005")

    def integrand(x: float) -> float:
        middle = (first.pdf(x) + second.pdf(x)) / 2
        return sum(density.pdf(x) * (density.logpdf(x) - math.log(middle)) for density in (first, second)) / 2

    points = [0.0, mean]
    expected = quad(integrand, -12, 12, points=points, limit=200)[0]
    yield Finding("JSD", expected, jsd(p, q), 1e-6, "grid of step 0.005")
    expected = quad(lambda x: abs(first.pdf(x) - second.pdf(x)) / 2, -12, 12, points=points, limit=200)[0]
    yield Finding("TV", expected, total_variation(p, q), 1e-5, "grid of step 0.005")  # the integrand has kinks


@oracle
def finite() -> Iterator[Finding]:
    """On (3, 2, 1)/6 and (1, 2, 3)/6: KL = log(3)/3, JSD = SciPy's squared distance, TV = 1/3."""
    p, q = np.array([3, 2, 1]) / 6, np.array([1, 2, 3]) / 6
    yield Finding("KL", math.log(3) / 3, kl(p, q), 1e-12, "sum")
    yield Finding("JSD", jensenshannon(p, q) ** 2, jsd(p, q), 1e-12, "sum")
    yield Finding("TV", 1 / 3, total_variation(p, q), 1e-12, "sum")


@oracle
def to_uniform() -> Iterator[Finding]:
    """KL(q || uniform) = log K - H(q): log 4 for one of 4 modes, 0 for equal modes, log(2) / 2 for (4, 2, 2, 0)."""
    for counts, expected in (
        ([9, 0, 0, 0], math.log(4)),
        ([5, 5, 5, 5], 0.0),
        ([4, 2, 2, 0], 0.5 * math.log(2)),
    ):
        yield Finding(f"counts {counts}", expected, kl_to_uniform(np.array(counts)), 1e-12, "sum")
