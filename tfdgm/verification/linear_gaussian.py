"""The model of `gin/verify/linear_gaussian.gin` in closed form.

    x = W z + b + s e,  z and e standard normal,  W = w R with R a rotation

so p(x) = N(b, (w^2 + s^2) I) and p(z|x) = N(r^2 R^T (x - b) / w, (1 - r^2) I) with r^2 = w^2 / (w^2 + s^2). The data is
drawn from p(x).
"""

import math

import numpy as np
from scipy.stats import norm

from tfdgm.runs.experiment import Built
from tfdgm.verification.fixtures import build, set_affine

LOADING, NOISE = 1.0, 0.75  # w and s
SPREAD = math.hypot(LOADING, NOISE)  # standard deviation of x
RETAINED = (LOADING / SPREAD) ** 2  # r^2
SCALE = math.sqrt(1 - RETAINED)  # standard deviation of the true posterior
#: I(x; z) under p(x, z), nats: the mutual information of a two-dimensional Gaussian channel.
INFORMATION = -math.log(1 - RETAINED)
_ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])
_CENTRE = np.array([0.5, 0.0])
_MIN_SCALE = 1e-4  # posterior.gaussian.min_scale in the config


def linear_gaussian(name: str = "linear_gaussian", widen: float = 1.0) -> Built:
    """Build the model, with the true posterior, its scale multiplied by `widen`."""
    built = build(name)
    set_posterior(built, widen)
    set_affine(built.model.decoder, LOADING * _ROTATION.T, _CENTRE)
    return built


def set_posterior(built: Built, widen: float) -> None:
    """Set q(z|x) to N(E[z|x], (widen SCALE)^2 I)."""
    kernel = RETAINED / LOADING * _ROTATION
    pre_scale = math.log(math.expm1(widen * SCALE - _MIN_SCALE))  # the inverse of softplus
    encoder = built.model.encoder
    assert encoder is not None
    wide = np.concatenate([kernel, np.zeros((2, 2))], axis=1)
    set_affine(encoder, wide, np.concatenate([-_CENTRE @ kernel, np.full(2, pre_scale)]))


def log_evidence(x: np.ndarray) -> np.ndarray:
    """Return log p(x) `[n]`."""
    return norm.logpdf(x, _CENTRE, SPREAD).sum(axis=-1)


def quantiles(shares: np.ndarray) -> np.ndarray:
    """Return the quantiles of p(x) in each of its independent dimensions; maps `[n, 2]` to `[n, 2]`."""
    return norm.ppf(shares, _CENTRE, SPREAD)


def log_likelihood(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return log p(x|z)."""
    return norm.logpdf(x, z @ (LOADING * _ROTATION.T) + _CENTRE, NOISE).sum(axis=-1)


def posterior_mean(x: np.ndarray) -> np.ndarray:
    """Return E[z|x] `[n, 2]`."""
    return RETAINED / LOADING * (x - _CENTRE) @ _ROTATION


def rate(x: np.ndarray) -> np.ndarray:
    """Return KL(p(z|x) || N(0, I)) `[n]`."""
    mean = posterior_mean(x)
    return np.sum(mean**2 + SCALE**2 - 1 - 2 * math.log(SCALE), axis=-1) / 2


def widened_gap(widen: float) -> float:
    """Return the KL from the widened to the true posterior, in two dimensions."""
    return widen**2 - 1 - 2 * math.log(widen)


def marginal_kl(x: np.ndarray, mean: float = 0.0, scale: float = 1.0) -> float:
    """Return KL(q_agg || N(mean 1, scale^2 I)), q_agg = (1/n) sum_m p(z|x_m), by quadrature in the plane."""
    axis, step = np.linspace(-6, 6, 241, retstep=True)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    aggregated = np.mean([norm.pdf(grid, centre, SCALE).prod(axis=-1) for centre in posterior_mean(x)], axis=0)
    log_prior = norm.logpdf(grid, mean, scale).sum(axis=-1)
    return float(np.sum(aggregated * (np.log(np.maximum(aggregated, 1e-300)) - log_prior)) * step**2)
