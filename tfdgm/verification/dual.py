"""The Kantorovich-Rubinstein dual, from the critic of the Wasserstein objective (Arjovsky et al. 2017)."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfdgm.evaluation.divergences import on_common_support, transport_plan
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.verification.fixtures import build, context, only_objective, rows, set_affine, train
from tfdgm.verification.oracle import Finding, oracle
from tfdgm.verification.transport import kantorovich_rubinstein

#: |m|, s and lambda of `gin/verify/shifted_gaussian.gin`.
_SHIFT, _SIGMA, _PENALTY = 1.5, 0.2, 10.0


@oracle
def optimal_critic() -> Iterator[Finding]:
    """f(x) = x_1 is 1-Lipschitz and optimal between (theta, u) and (0, u): dual = theta, no penalty, slope 1."""
    built = build("parallel_lines", "data.parallel_lines.theta = 0.75")
    real = tf.constant(rows(built.experiment, "test"))
    fake = real - tf.constant([0.75, 0.0])
    objective = only_objective(built)
    loss = objective.critic_loss(lambda x: x[:, 0], real, [fake], context())
    yield Finding("dual", 0.75, loss.metrics["dual"].numpy().mean(), 1e-6, "f(x) = x_1, float32")
    yield Finding("gradient penalty", 0, loss.metrics["gradient_penalty"].numpy().mean(), 1e-6, "f(x) = x_1")
    yield Finding("the critic's loss", -0.75, loss.value.numpy().mean(), 1e-6, "f(x) = x_1, float32")
    generator = objective.generator_loss(lambda x: x[:, 0] + 2, real, [fake]).numpy().mean()
    yield Finding("the generator's loss", -2, generator, 1e-6, "f(x) = x_1 + 2, float32")
    steep = objective.critic_loss(lambda x: 3 * x[:, 0], real, [fake], context())
    yield Finding("penalty of slope 3", 40, steep.metrics["gradient_penalty"].numpy().mean(), 1e-4, "10 (3 - 1)^2")


@oracle
def potential() -> Iterator[Finding]:
    """At the optimal f of a linear program, the objective's dual equals the primal cost of transport."""
    random = np.random.RandomState(4)
    real, fake = random.randn(2, 12, 2)
    points, p, q = on_common_support(real, fake)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    primal = np.sum(transport_plan(p, q, distances) * distances)
    best = kantorovich_rubinstein(points, p, q)[1]

    def score(x: tf.Tensor) -> tf.Tensor:
        """Return the smallest 1-Lipschitz function that equals f at the points."""
        distance = tf.norm(x[:, None] - tf.constant(points, tf.float32) + 1e-12, axis=-1)
        return tf.reduce_max(tf.constant(best, tf.float32) - distance, axis=1)

    objective = only_objective(build("shifted_gaussian"))
    samples = [tf.constant(x, tf.float32) for x in (real, fake)]
    dual = objective.critic_loss(score, samples[0], [samples[1]], context()).metrics["dual"]
    yield Finding("dual at the potential", primal, dual.numpy().mean(), 1e-5, "12 and 12 points, float32")


@oracle
def trained() -> Iterator[Finding]:
    """Between N(0, s^2 I) and N(m, s^2 I) a trained critic approaches W = |m|, with slope 1 + |m| / (2 lambda)."""
    built = build("shifted_gaussian")
    set_affine(built.model.decoder, _SIGMA * np.eye(2), np.zeros(2))
    train(built)
    found = ObjectiveEstimates(built, built.experiment.splits["test"], "verify")()
    # five standard errors of the means of 2,000 samples are 0.03; the largest observed slope is slightly above the mean
    yield Finding("dual / largest slope", _SHIFT, found["wasserstein_estimate"], 0.06, "critic, 2,000 samples")
    # for critics a f, f of slope 1, the objective a |m| - lambda (a - 1)^2 is largest at this a
    slope = 1 + _SHIFT / (2 * _PENALTY)
    yield Finding("mean slope", slope, found["critic_slope"], 0.03, "critic, 2,000 samples")
