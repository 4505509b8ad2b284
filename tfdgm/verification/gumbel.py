"""Gumbel-softmax: exact draws, and relaxed draws as temperature goes to 0 (Jang et al. 2017; Maddison et al. 2017)."""

import functools
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from scipy.integrate import quad
from scipy.special import expit, logit, softmax
from scipy.stats import logistic

from tfdgm.contracts.posterior import Posterior
from tfdgm.verification.fixtures import build, context
from tfdgm.verification.oracle import Finding, oracle

_DRAWS = 200_000
_GRADIENT_DRAWS = 1_000_000  # their variance grows as 1 / t
#: Logits of two categories, and their difference.
_PAIR = np.array([0.4, -0.3], np.float32)
_GAP = float(_PAIR[0] - _PAIR[1])
_TWO = ("posterior.categorical.positions = (1,)", "posterior.categorical.num_categories = 2")
_THREE = ("posterior.categorical.positions = (1,)", "posterior.categorical.num_categories = 3")


def _draws(logits: np.ndarray, *bindings: str, training: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return codes `[draws, 1]` and y `[draws, 1, K]` drawn from the posterior with these logits at one position."""
    posterior = _posterior(*bindings)

    @tf.function(jit_compile=True, autograph=False)  # the generator has no other CPU kernel
    def draw() -> tuple[tf.Tensor, tf.Tensor]:
        latent = posterior(tf.tile(tf.constant(logits)[None, None], [_DRAWS, 1, 1]), context(training))
        return latent.value, latent.relaxed

    codes, y = draw()
    return codes.numpy(), y.numpy().astype(np.float64)


@functools.cache
def _relaxed_pair(temperature: float) -> np.ndarray:
    """Return relaxed draws y `[draws, 1, 2]`."""
    return _draws(_PAIR, *_TWO, f"posterior.categorical.temperature = {temperature}")[1]


def _posterior(*bindings: str) -> Posterior:
    posterior = build("codes", *bindings).model.posterior
    assert posterior is not None
    return posterior


@oracle
def maximum() -> Iterator[Finding]:
    """argmax_k (l_k + g_k) is k with probability softmax(l)_k (Gumbel 1954)."""
    logits = np.array([1.0, 0.0, -1.5], np.float32)
    expected = softmax(logits.astype(np.float64))
    codes, _ = _draws(logits, *_THREE, training=False)
    frequencies = np.bincount(codes.ravel(), minlength=3) / codes.size
    for k in range(3):
        error = 5 * math.sqrt(expected[k] * (1 - expected[k]) / _DRAWS)
        yield Finding(f"frequency of code {k}", expected[k], frequencies[k], error, "200,000 draws")


@oracle
def relaxed_law() -> Iterator[Finding]:
    """Two categories: P(y_1 > a) = s(l_1 - l_2 - t logit a), s the sigmoid, at every temperature t."""
    for temperature in (1.0, 0.1):
        y = _relaxed_pair(temperature)
        for level in (0.1, 0.9):
            expected = expit(_GAP - temperature * logit(level))
            error = 5 * math.sqrt(expected * (1 - expected) / _DRAWS)
            got = float(np.mean(y[:, 0, 0] > level))
            yield Finding(f"t = {temperature}: P(y > {level})", expected, got, error, "200,000 draws")


@oracle
def limit() -> Iterator[Finding]:
    """t -> 0: y becomes one-hot, E(1 - max y) = E s(-|l_1 - l_2 + L| / t) with L logistic, which falls to 0."""
    for temperature in (1.0, 0.1, 0.01):
        y = _relaxed_pair(temperature)
        blur = 1 - y[:, 0].max(axis=-1)

        def integrand(noise: float, t: float = temperature) -> float:
            return expit(-abs(_GAP + noise) / t) * logistic.pdf(noise)

        expected = quad(integrand, -40, 40, points=[-_GAP, -_GAP - temperature, -_GAP + temperature], limit=500)[0]
        error = 5 * blur.std() / math.sqrt(_DRAWS)
        yield Finding(f"t = {temperature}: E(1 - max y)", expected, blur.mean(), error, "200,000 draws")
        upper = expit(_GAP)
        share = float(np.mean(y[:, 0].argmax(axis=-1) == 0))
        error = 5 * math.sqrt(upper * (1 - upper) / _DRAWS)
        yield Finding(f"t = {temperature}: P(argmax y = 1)", upper, share, error, "200,000 draws")


@oracle
def gradient() -> Iterator[Finding]:
    """d/dl E f(y E): by quadrature at t = 1, where it is biased; as t -> 0 the exact d/dl sum_k softmax(l)_k f(e_k)."""
    target = np.array([1.0, -0.5])
    for temperature, limit_bias in ((1.0, None), (0.02, 0.01)):
        posterior = _posterior(*_TWO, f"posterior.categorical.temperature = {temperature}")
        codebook = posterior.codebook().numpy().astype(np.float64)
        by_draw = _slopes(posterior, target)
        error, estimator = 5 * by_draw.std() / math.sqrt(len(by_draw)), f"{len(by_draw):,} draws"

        def loss_and_slope(y: float, codebook: np.ndarray = codebook) -> tuple[float, float]:
            residual = y * codebook[0] + (1 - y) * codebook[1] - target
            return residual @ residual, 2 * residual @ (codebook[0] - codebook[1])

        def integrand(noise: float, t: float = temperature, pair=loss_and_slope) -> float:  # type: ignore[no-untyped-def]
            y = expit((_GAP + noise) / t)
            return pair(y)[1] * y * (1 - y) / t * logistic.pdf(noise)

        biased = quad(integrand, -40, 40, points=[-_GAP, -_GAP - temperature, -_GAP + temperature], limit=500)[0]
        yield Finding(f"t = {temperature}: relaxed", biased, by_draw.mean(), error, estimator)
        if limit_bias is not None:
            share = expit(_GAP)
            exact = share * (1 - share) * (loss_and_slope(1.0)[0] - loss_and_slope(0.0)[0])
            tolerance = error + limit_bias * abs(exact)
            yield Finding(f"t = {temperature}: enumerated", exact, by_draw.mean(), tolerance, estimator)


def _slopes(posterior: Posterior, target: np.ndarray) -> np.ndarray:
    """Return d/dl_1 |y E - target|^2 for each relaxed draw, through the posterior's sampling."""

    @tf.function(jit_compile=True, autograph=False)
    def slopes() -> tf.Tensor:
        features = tf.tile(tf.constant(_PAIR)[None, None], [_GRADIENT_DRAWS, 1, 1])
        with tf.GradientTape() as tape:
            tape.watch(features)
            z = posterior(features, context(training=True)).z[:, 0]
            losses = tf.reduce_sum(tf.square(z - tf.constant(target, tf.float32)), axis=-1)
        return tape.gradient(losses, features)[:, 0, 0]

    return slopes().numpy().astype(np.float64)
