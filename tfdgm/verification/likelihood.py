"""Likelihoods at given decoder outputs: sums over the elements of x."""

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from scipy.special import log_expit, log_softmax
from scipy.stats import logistic, norm

from tfdgm.verification.fixtures import build, rows
from tfdgm.verification.oracle import Finding, oracle


@oracle
def bernoulli() -> Iterator[Finding]:
    """log p(x|z) = sum_i x_i log s(l_i) + (1 - x_i) log s(-l_i), s the sigmoid: -64 log 2 at logits 0."""
    built = build("pixels")
    x = rows(built.experiment, "test")[:50]
    logits = np.random.RandomState(0).randn(*x.shape).astype(np.float32)
    expected = np.sum(np.where(x == 1, log_expit(logits), log_expit(-logits)), axis=1)
    likelihood = built.model.likelihood
    at_zero = likelihood.distribution(tf.zeros_like(x)).log_prob(x).numpy()
    yield Finding("logits 0", -64 * math.log(2), at_zero.mean(), 1e-4, "50 digits, float32")
    got = likelihood.distribution(logits).log_prob(x).numpy()
    yield Finding("any logits", expected.mean(), got.mean(), 1e-4, "50 digits, float32")


@oracle
def gaussian() -> Iterator[Finding]:
    """log p(x|z) = sum_i log N(x_i; m_i, s^2)."""
    built = build("linear_gaussian")
    x, mean = np.random.RandomState(0).randn(2, 50, 2).astype(np.float32)
    got = built.model.likelihood.distribution(mean).log_prob(x).numpy()
    expected = norm.logpdf(x, mean, 0.75).sum(axis=1)
    yield Finding("scale 0.75", expected.mean(), got.mean(), 1e-5, "50 points, float32")


@oracle
def categorical() -> Iterator[Finding]:
    """log p(x|z) = sum_i log softmax(l_i)(level of x_i): -64 log 17 at logits 0."""
    built = build("levels")
    x = rows(built.experiment, "test")[:50]
    logits = np.random.RandomState(0).randn(50, 64, 17).astype(np.float32)
    likelihood = built.model.likelihood
    at_zero = likelihood.distribution(tf.zeros_like(logits)).log_prob(x).numpy()
    yield Finding("logits 0", -64 * math.log(17), at_zero.mean(), 1e-4, "50 digits, float32")
    levels = np.rint(16 * x).astype(int)[..., None]
    expected = np.take_along_axis(log_softmax(logits, axis=-1), levels, axis=-1).sum(axis=(1, 2))
    got = likelihood.distribution(logits).log_prob(x).numpy()
    yield Finding("any logits", expected.mean(), got.mean(), 1e-4, "50 digits, float32")


@oracle
def discretized_logistic() -> Iterator[Finding]:
    """P(level k) = F(k + 1/2) - F(k - 1/2), with the tails in the extreme levels, so that the sum is 1."""
    built = build("levels_logistic")
    location = np.linspace(-0.9, 0.9, 64, dtype=np.float32)
    every = np.repeat(np.arange(17)[:, None] / 16, 64, axis=1).astype(np.float32)
    log_prob = built.model.likelihood.distribution(np.tile(location, (17, 1))).distribution.log_prob(every).numpy()
    total = np.exp(log_prob.astype(np.float64)).sum(axis=0)
    yield Finding("sum over the levels", 1, total[np.argmax(np.abs(total - 1))], 1e-5, "64 pixels, float32")
    # in grey levels: location 8 (1 + m), scale 16 x 0.1
    edges = np.concatenate([[-np.inf], np.arange(16) + 0.5, [np.inf]])
    expected = np.log(np.diff(logistic.cdf(edges[:, None], 8 * (1 + location.astype(np.float64)), 1.6), axis=0))
    worst = np.unravel_index(np.argmax(np.abs(log_prob - expected)), expected.shape)
    yield Finding("log P, largest deviation", expected[worst], log_prob[worst], 1e-4, "17 x 64, float32")
