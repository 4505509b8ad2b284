"""Checks of posteriors."""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from tensorflow_probability import distributions as tfd

from tfdgm.contracts.posterior import Latent
from tfdgm.model.code_densities import code_log_probabilities, restrict
from tfdgm.model.rate import rate
from tfdgm.testing.checks import Subject, check
from tfdgm.testing.quadrature import Grid, chi_squared, mass_and_moments, standard_scores
from tfdgm.testing.trials import PosteriorTrial, normal, trial

_DRAWS = 4_000
#: Number of features at which the bound is compared.
_BOUNDS = 3
_MOST_ERRORS = 5.0  # standard errors; see prior_checks
#: The model of `bound_is_at_most_the_evidence`: x = W z + s e.
_LOADINGS, _NOISE = np.array([[1.0, 0.5], [-0.3, 0.8]]), 0.7


@check("posterior", cure="Return what `latent_spec` promises; the tables of docs/plugins.md have the shapes.")
def posterior_has_the_latents_shapes(subject: Subject) -> None:
    """q(z|x), the value, z, the embedding, losses and relaxed codes have the shapes of `latent_spec`, for any batch."""
    tried: PosteriorTrial = trial(subject)
    latent = tried.model.latent
    subject.require(
        latent.discrete == (latent.positions is not None), "latent_spec", f"{latent!r}", "positions if discrete"
    )
    for count in (1, 3):
        for training in (False, True):
            made = tried.plugin(tried.features(count), tried.context(training=training))
            require_shapes(subject, tried, made, count)
    if latent.discrete:
        codebook = tuple(tried.plugin.codebook().shape)
        tables = () if latent.codebooks is None else (latent.codebooks,)
        wanted = "[categories, size]" if latent.codebooks is None else "[codebooks, categories, size]"
        subject.require(codebook == (*tables, latent.categories, latent.size), "codebook", f"shape {codebook}", wanted)
        good = isinstance(made.distribution, tfd.Independent)
        subject.require(good, "distribution", type(made.distribution).__name__, "a tfd.Independent over the positions")


def require_shapes(subject: Subject, trial: PosteriorTrial, made: Latent, count: int, where: str = "") -> None:
    """Require that the result of a call on `count` examples has the shapes of `latent_spec`."""
    latent = trial.model.latent
    shapes = {
        "Latent.value": (made.value, latent.event_shape),
        "Latent.z": (made.z, latent.decoder_input_shape),
        "embed(Latent.value)": (trial.plugin.embed(made.value), latent.decoder_input_shape),
        "log q(z|x)": (made.distribution.log_prob(made.value), ()),
        **{f"Latent.losses[{name!r}]": (loss, ()) for name, loss in made.losses.items()},
    }
    if made.relaxed is not None:
        shapes["Latent.relaxed"] = (made.relaxed, (*latent.event_shape, latent.categories))
    for name, (value, shape) in shapes.items():
        came = f"shape {tuple(value.shape)}{where}"
        subject.require(tuple(value.shape) == (count, *shape), name, came, f"{(count, *shape)}")
        finite = np.all(np.isfinite(tf.cast(value, tf.float32)))
        subject.require(finite, name, f"not finite{where}", "finite numbers")
    q = made.distribution
    subject.require(tuple(q.batch_shape) == (count,), "distribution", f"batch {q.batch_shape}{where}", f"({count},)")
    event = tuple(q.event_shape)
    subject.require(event == latent.event_shape, "distribution", f"event {event}{where}", f"{latent.event_shape}")
    subject.require(
        made.value.dtype.is_integer == latent.discrete,
        "Latent.value",
        f"{made.value.dtype.name}{where}",
        "integers for codes, floats for vectors",
    )


@check("posterior", cure="Return q(z|x) itself from both, never its relaxation.")
def call_returns_the_distribution(subject: Subject) -> None:
    """The distribution in `Latent` is that of `distribution`, in training and outside."""
    tried: PosteriorTrial = trial(subject)
    features = tried.features()
    for training in (False, True):
        context = tried.context(training=training)
        made, q = tried.plugin(features, context), tried.plugin.distribution(features, context)
        for name, value in (("Latent.value", made.value), ("zeros", tf.zeros_like(made.value))):
            first, second = made.distribution.log_prob(value).numpy(), q.log_prob(value).numpy()
            good = np.allclose(first, second, rtol=1e-5, equal_nan=True)
            subject.require(good, "__call__", f"log q at {name} is {first}", f"{second}, as by `distribution`")


@check("posterior", cure="Decode the drawn value outside training: z = embed(value).")
def z_is_the_embedded_value(subject: Subject) -> None:
    """Outside training, the decoder's input z is `embed(value)`."""
    tried: PosteriorTrial = trial(subject)
    made = tried.plugin(tried.features(), tried.context())
    difference = float(np.max(np.abs(made.z.numpy() - tried.plugin.embed(made.value).numpy())))
    subject.require(difference < 1e-5, "Latent.z", f"it differs from embed(value) by {difference:.3g}", "equality")


@check("posterior", cure="Reparameterise the draw, relax it, or pass the gradient straight through.")
def gradients_reach_the_features(subject: Subject) -> None:
    """In training the gradient of z reaches the features of every example, and is finite."""
    tried: PosteriorTrial = trial(subject)
    features = tried.features()
    with tf.GradientTape() as tape:
        tape.watch(features)
        z = tried.plugin(features, tried.context(training=True)).z
        loss = tf.reduce_sum(z * normal(*z.shape, seed=1))
    gradient = tape.gradient(loss, features)
    subject.require(gradient is not None, "Latent.z", "no gradient reaches the features", "a gradient")
    rows = gradient.numpy().reshape(len(features), -1)
    subject.require(np.all(np.isfinite(rows)), "Latent.z", "its gradient is not finite", "finite numbers")
    subject.require(np.all(np.any(rows != 0, axis=1)), "Latent.z", "its gradient is 0 for an example", "another number")


@check("posterior", cure="Draw `value` from the distribution that you return.")
def values_have_the_density(subject: Subject) -> None:
    """Draws `value` agree with log q(z|x): codes by a chi-squared test, vectors in the plane by quadrature."""
    tried: PosteriorTrial = trial(subject)
    latent = tried.model.latent
    features = tf.repeat(tried.features(1), _DRAWS, axis=0)
    made = tried.plugin(features, tried.context())
    one = tried.plugin.distribution(features[:1], tried.context())
    draws = made.value.numpy().reshape(_DRAWS, -1)
    if latent.discrete:
        table = np.exp(code_log_probabilities(one, latent.categories).numpy()).reshape(-1, latent.categories)
        for position, probabilities in enumerate(table.astype(float)):
            counts = np.bincount(draws[:, position], minlength=latent.categories)
            statistic, bound = chi_squared(counts, probabilities)
            came = f"chi-squared {statistic:.1f} of {_DRAWS} draws at position {position}"
            subject.require(statistic < bound, "Latent.value", came, f"below {bound:.1f}")
        return
    grid = Grid(draws[: _DRAWS // 2])
    mass, moments = mass_and_moments(grid, lambda z: np.exp(one.log_prob(tf.constant(z, tf.float32)[:, None])[:, 0]))
    subject.require(abs(mass - 1) < 0.01, "distribution", f"q(z|x) integrates to {mass:.4g}", "1")
    worst = float(np.max(np.abs(standard_scores(grid, moments, draws[_DRAWS // 2 :]))))
    came = f"means over values differ from those of log q(z|x) by {worst:.1f} standard errors"
    subject.require(worst < _MOST_ERRORS, "Latent.value", came, f"less than {_MOST_ERRORS:g}")


@check("posterior", cure="Return log_prob of q itself: KL(q||p) is never negative.")
def rate_is_not_negative(subject: Subject) -> None:
    """The mean of the rate against N(0, I), over draws, is not negative."""
    tried: PosteriorTrial = trial(subject)
    for features in (tf.zeros_like(tried.features(1)), tried.features(1)):  # q is close to N(0, I) at 0, mostly
        rates = _rates_and_draws(tried, features, _DRAWS)[0]
        error = rates.std() / math.sqrt(len(rates))
        good = rates.mean() >= -_MOST_ERRORS * error - 1e-4
        subject.require(good, "distribution", f"the mean rate is {rates.mean():.4g} +- {error:.2g} nats", "0 or more")


@check("posterior", cure="Draw z from the distribution that you return; a wider or narrower one breaks the bound.")
def bound_is_at_most_the_evidence(subject: Subject) -> None:
    """The ELBO is at most log p(x) in a model whose evidence is known exactly.

    For vectors the model is x = W z + s e, for codes x_i = w e_(c_i) + s e at each position, under N(0, I) restricted
    to the codebook.
    """
    tried: PosteriorTrial = trial(subject)
    latent = tried.model.latent
    for number in range(_BOUNDS):
        features = normal(1, *tried.plugin.feature_shape(latent), seed=number)
        rates, z = _rates_and_draws(tried, features, _DRAWS)
        if latent.discrete:
            fit, evidence = _codes_model(tried, z)
        else:
            loadings = np.resize(_LOADINGS, (2, latent.size))
            x = loadings @ z.mean(axis=0)
            fit = norm.logpdf(x, z @ loadings.T, _NOISE).sum(axis=1)
            covariance = loadings @ loadings.T + _NOISE**2 * np.eye(2)
            evidence = float(multivariate_normal(np.zeros(2), covariance).logpdf(x))
        bounds = fit - rates
        error = bounds.std() / math.sqrt(len(bounds))
        came = f"the ELBO is {bounds.mean():.4f} +- {error:.2g} nats"
        good = bounds.mean() <= evidence + _MOST_ERRORS * error + 1e-3
        subject.require(good, "", came, f"at most log p(x) = {evidence:.4f}")


def _rates_and_draws(tried: PosteriorTrial, features: tf.Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rates against N(0, I), or its restriction to the codebook, and z at `count` draws for one example."""
    latent = tried.model.latent
    made = tried.plugin(tf.repeat(features, count, axis=0), tried.context())
    prior: Any = tfd.Independent(tfd.Normal(tf.zeros([latent.size]), 1.0), 1)
    if latent.discrete:
        prior = restrict(prior, tried.plugin.codebook(), latent.event_shape)
    rates = rate(made.distribution, prior, made.value, made.relaxed)
    return rates.numpy().astype(float), made.z.numpy().astype(float)


def _codes_model(tried: PosteriorTrial, z: np.ndarray) -> tuple[np.ndarray, float]:
    """Return log p(x|c) at each draw and log p(x); the positions are independent, so the sum over grids factorises.

    With L codebooks the sum at a position runs over all K^L sums of codes.
    """
    codebook = tried.plugin.codebook().numpy().astype(float)
    weights = np.linspace(1.0, -0.5, codebook.shape[-1])
    means = z.reshape(len(z), -1, codebook.shape[-1]) @ weights  # [draws, N]
    x = means.mean(axis=0)
    decoded, log_prior = np.zeros(1), np.zeros(1)
    for table in codebook.reshape(-1, *codebook.shape[-2:]):
        log_codes = norm.logpdf(table).sum(axis=1)
        decoded = np.add.outer(decoded, table @ weights).ravel()
        log_prior = np.add.outer(log_prior, log_codes - logsumexp(log_codes)).ravel()
    at_codes = norm.logpdf(x[:, None], decoded, _NOISE)  # [N, K^L]
    return norm.logpdf(x, means, _NOISE).sum(axis=1), float(logsumexp(log_prior + at_codes, axis=1).sum())
