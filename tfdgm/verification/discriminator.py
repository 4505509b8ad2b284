"""The optimal discriminator and the value of the game (Goodfellow et al. 2014, proposition 1 and theorem 1)."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from scipy.spatial.distance import jensenshannon
from scipy.special import expit
from scipy.stats import norm

from tfdgm.evaluation.divergences import optimal_discriminator
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.verification.fixtures import build, context, only_objective, rows, set_affine, train
from tfdgm.verification.oracle import Finding, oracle

#: pi = (3, 2, 1)/6 and p = (1, 2, 3)/6 on the points 0, 1, 2, each as six samples `[6, 1]`.
_COUNTS = np.array([3, 2, 1]), np.array([1, 2, 3])
_PI, _P = (counts / 6 for counts in _COUNTS)
_REAL, _FAKE = (tf.constant(np.repeat(np.arange(3.0), counts)[:, None], tf.float32) for counts in _COUNTS)
_EQUAL = -2 * math.log(2)


def _table(logits: tf.Tensor) -> Any:
    """Return the critic with these scores at the points 0, 1, 2."""
    return lambda x: tf.linalg.matvec(tf.one_hot(tf.cast(x[:, 0], tf.int32), 3), logits)


def _losses(objective: Any, logits: np.ndarray, fake: tf.Tensor = _FAKE) -> Any:
    return objective.critic_loss(_table(tf.constant(logits, tf.float32)), _REAL, [fake], context())


@oracle
def maximiser() -> Iterator[Finding]:
    """argmax over D of V is D* = pi / (pi + p); SciPy minimises the discriminator's loss over a table of logits."""
    objective = only_objective(build("discriminator"))

    def loss_and_gradient(logits: np.ndarray) -> tuple[float, np.ndarray]:
        scores = tf.constant(logits, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = tf.reduce_mean(objective.critic_loss(_table(scores), _REAL, [_FAKE], context()).value)
        return float(loss), tape.gradient(loss, scores).numpy().astype(np.float64)

    best = expit(minimize(loss_and_gradient, np.zeros(3), jac=True).x)
    closed_form = optimal_discriminator(_PI, _P)
    for point, expected in enumerate((3 / 4, 1 / 2, 1 / 4)):
        # float32 resolves the loss to 1e-7, hence the minimiser to the square root of that
        yield Finding(f"argmax D({point})", expected, best[point], 2e-3, "BFGS, float32")
        yield Finding(f"D*({point})", expected, closed_form[point], 1e-12, "closed form")


@oracle
def value() -> Iterator[Finding]:
    """V(G, D*) = 2 JSD - 2 log 2; -2 log 2 for p = pi, where D* = 1/2."""
    objective = only_objective(build("discriminator"))
    d = optimal_discriminator(_PI, _P)
    divergence = jensenshannon(_PI, _P) ** 2
    at_best = _losses(objective, np.log(d / (1 - d)))
    value, bound = (at_best.metrics[name].numpy().mean() for name in ("value", "jsd_bound"))
    yield Finding("V at D*", 2 * divergence + _EQUAL, value, 1e-6, "sum, float32")
    yield Finding("JSD of V at D*", divergence, bound, 1e-6, "sum, float32")
    yield Finding("the discriminator's loss", -2 * divergence - _EQUAL, at_best.value.numpy().mean(), 1e-6, "sum")
    equal = _losses(objective, np.zeros(3), _REAL)
    yield Finding("V at equality", _EQUAL, equal.metrics["value"].numpy().mean(), 1e-6, "sum, float32")
    elsewhere = _losses(objective, np.log(d / (1 - d)) + np.array([0.5, -0.5, 0.3]))
    yield Finding("V elsewhere", value, elsewhere.metrics["value"].numpy().mean(), 0, "sum, float32", "<=")


@oracle
def generator() -> Iterator[Finding]:
    """The generator's loss: -E log D(x'), or E log(1 - D(x')) if saturating; computed from logits, so unbounded."""
    logits = np.array([1.0, -0.5, 0.3])
    d = expit(logits)
    for form, expected in (("non_saturating", -_P @ np.log(d)), ("saturating", _P @ np.log(1 - d))):
        objective = only_objective(build("discriminator", f"objective.jsd.generator = '{form}'"))
        got = objective.generator_loss(_table(tf.constant(logits, tf.float32)), _REAL, [_FAKE]).numpy().mean()
        yield Finding(form, expected, got, 1e-6, "sum, float32")
    objective = only_objective(build("discriminator"))
    certain = objective.generator_loss(_table(tf.fill([3], -50.0)), _REAL, [_FAKE]).numpy().mean()
    yield Finding("D(x') = exp(-50)", 50, certain, 1e-4, "sum, float32")


@oracle
def trained() -> Iterator[Finding]:
    """A trained discriminator approaches D* = pi / (pi + p), V = 2 JSD - 2 log 2; two Gaussians against one."""
    built = build("discriminator")
    set_affine(built.model.decoder, np.eye(2), np.zeros(2))  # x' ~ N(0, I)
    train(built)

    def densities(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centres = np.array([[1.5, 0.0], [-1.5, 0.0]])
        real = np.mean([norm.pdf(x, centre, 0.75).prod(axis=-1) for centre in centres], axis=0)
        return real, norm.pdf(x).prod(axis=-1)

    axis = np.linspace(-7, 7, 281)
    pi, p = densities(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    divergence = jensenshannon(pi, p) ** 2
    estimate = ObjectiveEstimates(built, built.experiment.splits["test"], "verify")()["jsd_estimate"]
    # the standard error over 2,000 samples is 0.01
    yield Finding("JSD", divergence, estimate, 0.05, "critic, 2,000 samples")
    forward = ForwardPass(built.model, tf.constant(rows(built.experiment, "test")), context())
    found = only_objective(built).adversary_loss(forward, context()).metrics
    real, fake = (optimal_discriminator(*densities(x.numpy())) for x in (forward.x, forward.generated))
    best = np.mean(np.log(real)) + np.mean(np.log(1 - fake))
    # training leaves an error of 0.01 in D, and less in V, which is flat around D*
    yield Finding("V, on the same samples as V(D*)", best, found["value"].numpy().mean(), 0.02, "critic, 2,000 samples")
    for side, d in (("real", real), ("fake", fake)):
        error = np.abs(found[f"discriminator_{side}"].numpy() - d).mean()
        yield Finding(f"E |D - D*|, {side}", 0, error, 0.03, "critic, 2,000 samples")


@oracle
def trained_at_equality() -> Iterator[Finding]:
    """For p = pi, a trained discriminator approaches D = 1/2 and V = -2 log 2."""
    built = build("discriminator", "data.ring.modes = 1")
    set_affine(built.model.decoder, 0.75 * np.eye(2), np.array([1.5, 0.0]))  # the data's distribution
    train(built)
    forward = ForwardPass(built.model, tf.constant(rows(built.experiment, "test")), context())
    found = only_objective(built).adversary_loss(forward, context()).metrics
    yield Finding("V", _EQUAL, found["value"].numpy().mean(), 0.02, "critic, 2,000 samples")
    for side in ("real", "fake"):
        error = np.abs(found[f"discriminator_{side}"].numpy() - 0.5).mean()
        yield Finding(f"E |D - 1/2|, {side}", 0, error, 0.03, "critic, 2,000 samples")
