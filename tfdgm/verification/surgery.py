"""ELBO surgery (Hoffman and Johnson 2016) of a linear-Gaussian VAE, and the optimal prior."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import qmc

from tfdgm.contracts.component import raw
from tfdgm.evaluation.surgery import elbo_surgery
from tfdgm.runs.experiment import Built
from tfdgm.verification import linear_gaussian as exact
from tfdgm.verification.fixtures import draws_over, rows
from tfdgm.verification.oracle import Finding, oracle

_PER_EXAMPLE = 1_000


@oracle
def terms() -> Iterator[Finding]:
    """ELBO = E log p(x|z) - I - KL(q_agg || p): each against quadrature, on a split of 64; I <= log n."""
    built = exact.linear_gaussian()
    x = rows(built.experiment, "train")
    found = _scores(built, x)
    marginal, rate = exact.marginal_kl(x), exact.rate(x).mean()
    estimator = f"{len(x) * _PER_EXAMPLE:,} draws"
    # five standard errors: log q_agg - log p has a standard deviation of 0.25, log q - log q_agg one near 1
    yield Finding("marginal KL", marginal, found["marginal_kl"], 0.005, estimator)
    yield Finding("mutual information", rate - marginal, found["mutual_information"], 0.02, estimator)
    yield Finding("mutual information <= log n", np.log(len(x)), found["mutual_information"], 0, estimator, "<=")
    total = found["mutual_information"] + found["marginal_kl"]
    yield Finding("their sum, the rate", rate, total, 0.02, estimator)
    yield Finding("ELBO = log p(x)", exact.log_evidence(x).mean(), found["elbo"], 1e-3, estimator)
    parts = found["reconstruction"] - total
    yield Finding("ELBO, from the three terms", found["elbo"], parts, 1e-5, estimator)


@oracle
def population() -> Iterator[Finding]:
    """q_agg -> p as n -> infinity, since x ~ p(x): marginal KL 0, I(x; z) = log(1 + w^2/s^2) for two dimensions."""
    # 256 Sobol points represent p(x) as well as thousands of draws
    x = exact.quantiles(qmc.Sobol(2, scramble=False).random_base2(8) + 1 / 512)
    found = elbo_surgery(draws_over(exact.linear_gaussian(), x, 400), 400)
    yield Finding("mutual information", exact.INFORMATION, found["mutual_information"], 0.03, "n = 256")
    yield Finding("marginal KL", 0, found["marginal_kl"], 0.03, "n = 256")


@oracle
def optimal_prior() -> Iterator[Finding]:
    """p = q_agg has marginal KL 0 and so the largest ELBO; that of any other prior is lower by KL(q_agg || p)."""
    best = exact.linear_gaussian("optimal_prior")
    x = rows(best.experiment, "train")
    top = _scores(best, x)
    estimator = f"{len(x) * _PER_EXAMPLE:,} draws"
    yield Finding("marginal KL of q_agg", 0, top["marginal_kl"], 1e-4, "the same density, float32")
    yield Finding("rate = mutual information", top["mutual_information"], top["rate"], 1e-4, estimator)
    built = exact.linear_gaussian()
    fitted = np.sqrt(np.mean(exact.posterior_mean(x) ** 2) + exact.SCALE**2)
    draws = draws_over(built, x, _PER_EXAMPLE)
    for case, mean, scale, error in (("fitted scale", 0.0, fitted, 0.005), ("shifted", 0.5, 0.8, 0.02)):
        _set_prior(built, mean, scale)
        found = elbo_surgery(draws, _PER_EXAMPLE)
        yield Finding(f"{case}: ELBO", top["elbo"], found["elbo"], 0, estimator, "<=")
        loss = exact.marginal_kl(x, mean, scale)
        yield Finding(f"{case}: loss of ELBO", loss, top["elbo"] - found["elbo"], error, estimator)


def _scores(built: Built, x: np.ndarray) -> dict[str, float]:
    return elbo_surgery(draws_over(built, x, _PER_EXAMPLE), _PER_EXAMPLE)


def _set_prior(built: Built, mean: float, scale: float) -> None:
    """Set the learned Gaussian prior to N(mean 1, scale^2 I)."""
    for variable, value in zip(built.model.prior.trainable_variables(), (mean, np.log(scale)), strict=True):
        raw(variable).assign(np.full(2, value))
