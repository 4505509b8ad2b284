"""A VAE whose log-likelihood, posterior and rate are known: x = W z + b + s e, with orthogonal columns of W."""

import numpy as np
from scipy.stats import multivariate_normal
from small import Points, points_experiment
from tfdgm_likelihoods.gaussian import Gaussian as GaussianLikelihood

SCALE = 0.5
W = np.array([[1.0, 0.5, 0.0, -1.0, 0.5], [0.5, -1.0, 0.8, 0.0, 0.0]])  # [latent, data]
B = np.array([0.3, -0.2, 0.1, 0.0, 0.5])
assert abs(W[0] @ W[1]) < 1e-12  # so that the true posterior is diagonal

VARIANCES = 1 / (1 + np.sum(W**2, axis=1) / SCALE**2)  # of the true posterior


def rows(count: int = 60) -> np.ndarray:
    random = np.random.RandomState(1)
    return (random.randn(count, 2) @ W + B + SCALE * random.randn(count, 5)).astype(np.float32)


def exact_log_prob(x: np.ndarray) -> np.ndarray:
    """log N(x; b, W^T W + s^2 I)."""
    return multivariate_normal(B, W.T @ W + SCALE**2 * np.eye(5)).logpdf(x.astype(np.float64))


def posterior_mean(x: np.ndarray, shrink: float = 1.0) -> np.ndarray:
    return shrink * (x - B) @ W.T / SCALE**2 * VARIANCES


def linear_gaussian(widen: float = 1.0, shrink: float = 1.0, data: np.ndarray | None = None):
    """The built model; its posterior is the true one but for `widen` times the scale and `shrink` times the mean."""
    built = points_experiment(
        data=Points(rows=rows() if data is None else data), likelihood=GaussianLikelihood(scale=SCALE)
    ).build()
    encoder, decoder = built.model.encoder.layers[0], built.model.decoder.layers[0]
    decoder.kernel.assign(W)
    decoder.bias.assign(B)
    kernel = W.T / SCALE**2 * VARIANCES * shrink
    pre_scale = np.log(np.expm1(widen * np.sqrt(VARIANCES) - 1e-4))  # softplus^-1, less the posterior's min_scale
    encoder.kernel.assign(np.concatenate([kernel, np.zeros((5, 2))], axis=1))
    encoder.bias.assign(np.concatenate([-B @ kernel, pre_scale]))
    return built
