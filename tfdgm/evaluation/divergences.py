"""Divergences between known distributions, exact up to the sum over points or the grid that carries them.

A distribution is its logarithmic density on a common set of points, and the volume that a point stands for: 1 for
probabilities of outcomes, the size of a cell for a density on a grid. All in nats, float64.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, log_expit, logsumexp


def grid(*axes: np.ndarray) -> tuple[np.ndarray, float]:
    """All points of a rectangular grid, and the volume of its cells.

    Args:
      axes: for each of d dimensions, evenly spaced coordinates.

    Returns:
      Points `[n1 * ... * nd, d]`, the last dimension fastest, and the product of the spacings.
    """
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return points, float(np.prod([axis[1] - axis[0] for axis in axes]))


def empirical(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The uniform measures on the rows of x `[n, d]` and of y `[m, d]` as log-probabilities of all points in either."""
    _, where = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    counts = (np.bincount(part, minlength=where.max() + 1) for part in np.split(where.reshape(-1), [len(x)]))
    with np.errstate(divide="ignore"):
        log_p, log_q = (np.log(count / np.sum(count)) for count in counts)
    return log_p, log_q


def kl(log_p: np.ndarray, log_q: np.ndarray, volume: float = 1.0) -> float:
    """KL(p || q) = sum_i v p_i (log p_i - log q_i); infinite where q_i = 0 < p_i, and 0 log 0 = 0."""
    log_p, log_q = np.asarray(log_p, np.float64), np.asarray(log_q, np.float64)
    inside = log_p > -np.inf
    return float(volume * np.sum(np.exp(log_p[inside]) * (log_p[inside] - log_q[inside])))


def jsd(log_p: np.ndarray, log_q: np.ndarray, volume: float = 1.0) -> float:
    """JSD(p, q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2; at most log 2, where they share no point."""
    log_m = logsumexp(np.stack([log_p, log_q]).astype(np.float64), axis=0) - np.log(2)
    return (kl(log_p, log_m, volume) + kl(log_q, log_m, volume)) / 2


def optimal_discriminator(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """D* = p / (p + q), which maximises `game_value` (Goodfellow et al. 2014, proposition 1); NaN where both are 0."""
    with np.errstate(invalid="ignore"):
        return expit(np.asarray(log_p, np.float64) - np.asarray(log_q, np.float64))


def game_value(logits: np.ndarray, log_p: np.ndarray, log_q: np.ndarray, volume: float = 1.0) -> float:
    """V = E_p log D + E_q log(1 - D) for D = sigmoid(logits) (Goodfellow et al. 2014, equation 1).

    At D* it is 2 JSD(p, q) - 2 log 2, and -2 log 2 where p = q (theorem 1).
    """
    terms = ((log_p, log_expit(logits)), (log_q, log_expit(-np.asarray(logits))))
    return float(sum(volume * np.sum(np.exp(log_density, dtype=np.float64) * term) for log_density, term in terms))


def log_normal(x: np.ndarray, mean: float | Sequence[float], scale: float) -> np.ndarray:
    """log N(x; mean, scale^2 I): of numbers `[...]` for one mean, of points `[..., d]` for d."""
    z = (np.asarray(x, np.float64) - np.asarray(mean, np.float64)) / scale
    each = -0.5 * z**2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    return np.sum(each, axis=-1) if np.ndim(mean) else each
