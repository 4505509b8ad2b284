"""Bounds on log p(x) of a linear-Gaussian VAE, for which log p(x) and p(z|x) are known."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfdgm.model.forward_pass import ForwardPass
from tfdgm.verification import linear_gaussian as exact
from tfdgm.verification.fixtures import context, draws_over, only_objective, rows
from tfdgm.verification.oracle import Finding, oracle


@oracle
def posterior() -> Iterator[Finding]:
    """Bayes: log q(z|x) = log p(x|z) + log p(z) - log p(x) at every z, so one draw gives log p(x) exactly."""
    built = exact.linear_gaussian()
    x = rows(built.experiment, "train").astype(np.float64)
    draws = draws_over(built, x, 10)
    ((_, _, block),) = draws.blocks(10)
    evidence = block.log_likelihood + block.log_prior - block.log_posterior
    worst = np.unravel_index(np.argmax(np.abs(evidence - exact.log_evidence(x))), evidence.shape)
    truth = exact.log_evidence(x)[worst[1]]
    yield Finding("log p(x), largest deviation", truth, evidence[worst], 1e-3, "64 examples, 10 draws, float32")
    q = built.model.infer(tf.constant(x, tf.float32), context())
    error = np.abs(q.mean().numpy() - exact.posterior_mean(x)).max()
    yield Finding("E[z|x], largest error", 0, error, 1e-5, "64 examples, float32")
    yield Finding("scale of z|x", exact.SCALE, q.stddev().numpy().mean(), 1e-5, "64 examples, float32")
    # one draw per example suffices
    nll = draws.importance_weighted_nll(1)
    yield Finding("-E log p(x)", -exact.log_evidence(x).mean(), nll, 1e-3, "importance-weighted, S = 1")


@oracle
def elbo() -> Iterator[Finding]:
    """The objective is -log p(x|z) + KL(q || p) at the drawn z, with the KL in closed form."""
    built = exact.linear_gaussian()
    x = rows(built.experiment, "train")
    forward = ForwardPass(built.model, tf.constant(x), context(training=True))
    loss = only_objective(built).model_loss(forward, forward.context).value.numpy()
    rates, reconstruction = exact.rate(x), exact.log_likelihood(x, forward.latent.z.numpy())
    yield Finding("KL(q||p)", rates.mean(), forward.rate.numpy().mean(), 1e-4, "closed form, float32")
    got = forward.reconstruction.numpy().mean()
    yield Finding("log p(x|z)", reconstruction.mean(), got, 1e-4, "one draw, float32")
    yield Finding("loss", (rates - reconstruction).mean(), loss.mean(), 1e-4, "one draw, float32")


@oracle
def single_draw() -> Iterator[Finding]:
    """Without a closed form, KL(q || p) is the mean of log q(z|x) - log p(z); for p = q_agg it is I(x; z)."""
    built = exact.linear_gaussian("optimal_prior")
    x = rows(built.experiment, "train")
    expected = exact.rate(x).mean() - exact.marginal_kl(x)
    got = ForwardPass(built.model, tf.constant(np.tile(x, (1_000, 1))), context()).rate.numpy().mean()
    # a standard deviation near 1: five standard errors
    yield Finding("KL(q||p)", expected, got, 0.02, "64,000 draws")


@oracle
def importance_weighted() -> Iterator[Finding]:
    """L_1 = log p(x) - KL(q || p(z|x)) <= L_S, which rises to log p(x) as S grows (Burda et al. 2016, theorem 1)."""
    widen = 1.5
    built = exact.linear_gaussian(widen=widen)
    x = rows(built.experiment, "train")
    truth = exact.log_evidence(x).mean()
    draws = draws_over(built, np.tile(x, (7, 1)), 2_000)
    blocks, estimator = draws.blocks(draws.per_block), "448 examples"
    weights = np.concatenate([b.log_likelihood + b.log_prior - b.log_posterior for _, _, b in blocks])
    one, ten, many = weights.mean(), *(-draws.importance_weighted_nll(samples) for samples in (10, 2_000))
    gap = exact.widened_gap(widen)
    # log weights of standard deviation near 1, a million draws: standard error 0.001
    yield Finding("S = 1", truth - gap, one, 0.01, f"{weights.size:,} draws")
    yield Finding("S = 10 above S = 1", one, ten, 0, estimator, ">=")
    yield Finding("S = 10", truth, ten, 0.05, estimator, "<=")  # standard error 0.02
    yield Finding("S = 2,000 above S = 10", ten, many, 0, estimator, ">=")
    # weights of variance near 1: bias 1 / (2 S) = 0.00025, standard error 1 / sqrt(448 S) = 0.001
    yield Finding("S = 2,000", truth, many, 0.005, estimator)
