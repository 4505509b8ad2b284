"""Distributions over codes, summed over all grids of two positions and three codes."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

from tfdgm.contracts.component import named_variables
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.model.rate import rate
from tfdgm.runs.experiment import Built
from tfdgm.verification.fixtures import build, context, rows
from tfdgm.verification.oracle import Finding, oracle

#: The nine grids of two positions and three codes.
GRIDS = np.array(list(itertools.product(range(3), repeat=2)), np.int32)
#: Logits of one q(c|x), `[2, 3]`, and their log-probabilities.
LOGITS = np.array([[0.5, -0.3, 1.2], [-1.0, 0.4, 0.0]], np.float32)
LOG_Q = log_softmax(LOGITS.astype(np.float64), axis=1)
_DRAWS = 100_000


@oracle
def uniform_prior() -> Iterator[Finding]:
    """KL(q || uniform) = N log K - H(q): N log K for a point mass, 0 for a uniform q."""
    built = build("codes")
    for case, logits in (("any q", LOGITS), ("point mass", 80 * np.eye(3)[:2]), ("uniform q", np.zeros((2, 3)))):
        log_q = log_softmax(logits.astype(np.float64), axis=1)
        expected = np.sum(np.exp(log_q) * log_q) + 2 * math.log(3)
        yield Finding(case, expected, _rates(built, logits, 1)[0], 1e-5, "closed form, float32")


@oracle
def mixture_prior() -> Iterator[Finding]:
    """KL(q || p) = -H(q) - E_q log p(c), p = (1/5) sum_m q(c|u_m): no closed form, estimated from draws of c."""
    built = build("codes_mixture")
    model = built.model
    log_p = model.prior_distribution(model.with_inference(context())).log_prob(GRIDS).numpy().astype(np.float64)
    features = (
        model.features(tf.constant(named_variables(model.prior)["inputs"].numpy()), context())
        .numpy()
        .astype(np.float64)
    )
    components = _grids_under(log_softmax(features, axis=-1))
    exact_log_p = logsumexp(components, axis=0) - math.log(5)
    worst = np.argmax(np.abs(log_p - exact_log_p))
    yield Finding("log p(c), largest deviation", exact_log_p[worst], log_p[worst], 1e-5, "9 grids, float32")
    log_q = _grids_under(LOG_Q[None])[0]
    expected = np.sum(np.exp(log_q) * (log_q - exact_log_p))
    error = 5 * _deviation(np.exp(log_q), exact_log_p) / math.sqrt(_DRAWS)
    yield Finding("KL(q||p)", expected, _rates(built, LOGITS, _DRAWS).mean(), error, "100,000 draws")


@oracle
def restricted_prior() -> Iterator[Finding]:
    """N(0, I) restricted to the codebook: p(c_i = k) = p(e_k) / sum_j p(e_j)."""
    built = build("codes_restricted")
    codebook = _codebook(built).astype(np.float64)
    log_p = log_softmax(norm.logpdf(codebook).sum(axis=1))
    expected = _grids_under(np.tile(log_p, (1, 2, 1)))[0]
    got = built.model.prior_distribution(context()).log_prob(GRIDS).numpy()
    worst = np.argmax(np.abs(got - expected))
    yield Finding("log p(c), largest deviation", expected[worst], got[worst], 1e-5, "9 grids, float32")
    exact = np.sum(np.exp(LOG_Q) * (LOG_Q - log_p))
    yield Finding("KL(q||p)", exact, _rates(built, LOGITS, 1)[0], 1e-5, "closed form, float32")


@oracle
def normalised() -> Iterator[Finding]:
    """sum over all grids of p(c) = 1, for every prior over codes."""
    for name in ("codes", "codes_restricted", "codes_mixture", "codes_autoregressive"):
        model = build(name).model
        log_p = model.prior_distribution(model.with_inference(context())).log_prob(GRIDS).numpy().astype(np.float64)
        yield Finding(model.prior.display_name(), 1, np.exp(log_p).sum(), 1e-5, "9 grids, float32")


@oracle
def quantised() -> Iterator[Finding]:
    """VQ: c_i = argmin_k |z_i - e_k|, and its rate under the uniform prior is N log K for every x."""
    built = build("codes_quantised")
    x = tf.constant(rows(built.experiment, "test"))
    forward = ForwardPass(built.model, x, context())
    features, codebook = forward.features.numpy(), _codebook(built)
    nearest = cdist(features.reshape(-1, 2), codebook).argmin(axis=1).reshape(-1, 2)
    rates = forward.rate.numpy()
    yield Finding("smallest rate", 2 * math.log(8), rates.min(), 1e-5, "64 examples, float32")
    yield Finding("largest rate", 2 * math.log(8), rates.max(), 1e-5, "64 examples, float32")
    yield Finding("share of nearest codes", 1, np.mean(forward.latent.value.numpy() == nearest), 0, "64 examples")


def _codebook(built: Built) -> np.ndarray:
    assert built.model.posterior is not None
    return built.model.posterior.codebook().numpy()


def _rates(built: Built, logits: np.ndarray, draws: int) -> np.ndarray:
    """Compute KL(q || p) by the framework, for q with these logits, at `draws` draws of c."""
    model = built.model

    @tf.function(jit_compile=True, autograph=False)  # the generator of the draws has no other CPU kernel
    def rates() -> tf.Tensor:
        assert model.posterior is not None
        latent = model.posterior(tf.tile(tf.constant(logits, tf.float32)[None], [draws, 1, 1]), context())
        prior = model.prior_distribution(model.with_inference(context()))
        return rate(latent.distribution, prior, latent.value, latent.relaxed)

    return rates().numpy()


def _grids_under(log_probabilities: np.ndarray) -> np.ndarray:
    """Return log-probabilities `[M, 9]` of the grids under products of categoricals `[M, 2, 3]`."""
    return log_probabilities[:, 0][:, GRIDS[:, 0]] + log_probabilities[:, 1][:, GRIDS[:, 1]]


def _deviation(p: np.ndarray, values: np.ndarray) -> float:
    return math.sqrt(np.sum(p * values**2) - np.sum(p * values) ** 2)
