"""Masked autoregressive flows (Papamakarios et al. 2017), and the banana distribution."""

import math
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import norm

from tfdgm.contracts.component import raw
from tfdgm.contracts.prior import Prior
from tfdgm.verification.fixtures import build, context, experiment, rows
from tfdgm.verification.oracle import Finding, oracle

#: H(x2) + H(x1 | x2) for x2 ~ N(0, 4), x1 | x2 ~ N(x2^2 / 4, 1): 3.5310 nats.
_ENTROPY = math.log(2 * math.pi * math.e * 4) / 2 + math.log(2 * math.pi * math.e) / 2


def _flow(size: int, *bindings: str) -> Prior:
    """Return a flow with random weights, far from its initial near-identity."""
    prior = build("flow", f"experiment.latent_size = {size}", *bindings).model.prior
    random = np.random.RandomState(1)
    for variable in prior.trainable_variables():
        raw(variable).assign(0.3 * random.randn(*variable.shape))
    return prior


@oracle
def log_determinant() -> Iterator[Finding]:
    """log p(z) = log N(u; 0, I) + log |det du/dz|, with the Jacobian by automatic differentiation."""
    for order in ("reverse", "random"):
        density = _flow(5, f"prior.maf.order = '{order}'").distribution(context())
        z = tf.constant(np.random.RandomState(2).randn(7, 5), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(z)
            noise = density.bijector.inverse(z)
        determinant = np.linalg.slogdet(tape.batch_jacobian(noise, z).numpy().astype(np.float64))[1]
        expected = norm.logpdf(noise.numpy()).sum(axis=1) + determinant
        got = density.log_prob(z).numpy()
        worst = np.argmax(np.abs(got - expected))
        case = f"{order} order: log p(z), largest deviation"
        yield Finding(case, expected[worst], got[worst], 1e-3, "7 points of R^5, float32")


@oracle
def inverse() -> Iterator[Finding]:
    """inverse(forward(u)) = u."""
    bijector = _flow(5).distribution(context()).bijector
    noise = np.random.RandomState(0).randn(50, 5).astype(np.float32)
    z = bijector.forward(noise).numpy()  # through NumPy, which bypasses the cache of the bijector
    error = np.abs(bijector.inverse(z).numpy() - noise).max()
    yield Finding("largest error", 0, error, 1e-3, "50 points of R^5, float32")


@oracle
def integral() -> Iterator[Finding]:
    """The density integrates to 1."""
    density = _flow(2, "prior.maf.log_scale_bound = 0.5").distribution(context())
    axis, step = np.linspace(-12, 12, 241, retstep=True)
    total = np.exp(_on_grid(density, axis, axis)).sum() * step**2
    yield Finding("mass of a flow", 1, total, 1e-3, "grid of step 0.1")


@oracle
def banana() -> Iterator[Finding]:
    """x2 ~ N(0, 4), x1 | x2 ~ N(x2^2 / 4, 1): mass 1, entropy 1 + log 4 pi = 3.5310 nats."""
    flow = experiment("flow")
    density = flow.data.density()
    (across, first_step), (up, second_step) = (
        np.linspace(low, high, 401, retstep=True) for low, high in ((-6, 50), (-14, 14))
    )
    cell, log_p = first_step * second_step, _on_grid(density, across, up)
    yield Finding("mass", 1, np.exp(log_p).sum() * cell, 1e-4, "grid of 401 x 401")
    yield Finding("entropy", _ENTROPY, -np.sum(np.exp(log_p) * log_p) * cell, 1e-3, "grid of 401 x 401")
    # log p has variance 1: half a chi-squared with two degrees of freedom
    nll = -density.log_prob(rows(flow, "test")).numpy().mean()
    yield Finding("-E log pi(x)", _ENTROPY, nll, 5 / math.sqrt(50_000), "50,000 draws")


@oracle
def fitted() -> Iterator[Finding]:
    """The NLL of a flow fitted to the banana approaches the entropy, 3.5310 nats, from above."""
    built = build("flow")
    prior, train = built.model.prior, tf.constant(rows(built.experiment, "train"))
    _maximise_likelihood(prior, train, steps=1_500)
    nll = -prior.distribution(context()).log_prob(rows(built.experiment, "test")).numpy().mean()
    error = 5 / math.sqrt(50_000)
    yield Finding("-E log p(x)", _ENTROPY + 0.02, nll, error, "1,500 steps, 50,000 draws", "<=")
    yield Finding("-E log p(x)", _ENTROPY, nll, error, "1,500 steps, 50,000 draws", ">=")


def _maximise_likelihood(prior: Prior, x: tf.Tensor, steps: int) -> None:
    variables = prior.trainable_variables()
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, steps))
    optimizer.build(variables)

    @tf.function(jit_compile=True, autograph=False)
    def fit(seed: tf.Tensor) -> tf.Tensor:
        def body(step: tf.Tensor) -> tuple[tf.Tensor]:
            batch = tf.random.stateless_uniform([256], tf.stack([seed, step]), 0, len(x), tf.int32)
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(prior.distribution(context()).log_prob(tf.gather(x, batch)))
            optimizer.apply(tape.gradient(loss, [raw(variable) for variable in variables]), variables)
            return (step + 1,)

        return tf.while_loop(lambda step: step < steps, body, (tf.constant(0),), maximum_iterations=steps)[0]

    fit(tf.constant(0))


def _on_grid(density, first: np.ndarray, second: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return log p at every pair of coordinates, float64."""
    points = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2).astype(np.float32)
    return density.log_prob(points).numpy().astype(np.float64)
