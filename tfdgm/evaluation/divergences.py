"""Divergences and transport between known distributions: probabilities on a common finite support or on a fine grid.

A density on a grid, multiplied by the volume of a cell, gives probabilities.
"""

import numpy as np
from scipy.special import log_expit, rel_entr

from tfdgm.evaluation.transport import transport


def grid(*axes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return all points of a rectangular grid, and the volume of its cells.

    Args:
      axes: evenly spaced coordinates of each of d dimensions.

    Returns:
      Points `[n1 * ... * nd, d]`, the last dimension fastest, and the product of the spacings.
    """
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return points, float(np.prod([axis[1] - axis[0] for axis in axes]))


def kl(p: np.ndarray, q: np.ndarray) -> float:
    """Return KL(p || q) = sum_i p_i log(p_i / q_i), nats; infinite if p has mass where q has none.

    Args:
      p, q: probabilities `[n]` of the same n points, here and in the functions below.
    """
    return float(np.sum(rel_entr(p, q)))


def jsd(p: np.ndarray, q: np.ndarray) -> float:
    """Return JSD = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2, nats; at most log 2 (Lin 1991)."""
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Return max over events A of |p(A) - q(A)| = sum_i |p_i - q_i| / 2; at most 1."""
    return float(np.sum(np.abs(p - q)) / 2)


def optimal_discriminator(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Return D* = pi / (pi + p), which maximises E_pi log D + E_p log(1 - D) (Goodfellow et al. 2014, proposition 1).

    Args:
      real, fake: pi and p, probabilities or densities at the same points, not both 0 at any point.
    """
    return real / (real + fake)


def game_value(logits: np.ndarray, real: np.ndarray, fake: np.ndarray) -> float:
    """Return V = E_pi log D + E_p log(1 - D) for D = sigmoid(logits) (Goodfellow et al. 2014, equation 1), nats.

    At D* it is 2 JSD(pi, p) - 2 log 2, and -2 log 2 if p = pi (theorem 1).

    Args:
      logits: finite, `[n]`.
      real, fake: pi and p, probabilities.
    """
    return float(np.sum(real * log_expit(logits) + fake * log_expit(-logits)))


def on_common_support(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the uniform measures on two sets of points, `[n, d]` and `[m, d]`, as probabilities on their union.

    Returns:
      The distinct points `[k, d]`, and their probabilities under either measure, `[k]` and `[k]`.
    """
    points, places = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    places = places.reshape(-1)
    p, q = (np.bincount(part, minlength=len(points)) / len(part) for part in (places[: len(x)], places[len(x) :]))
    return points, p, q


def transport_plan(p: np.ndarray, q: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return argmin over P >= 0 with marginals p and q of sum_ij P_ij c_ij (Peyré and Cuturi 2019, equation 2.11).

    Args:
      p: `[n]`, with the same sum as `q`.
      q: `[m]`.
      cost: c `[n, m]`; the minimal cost is W_1 for a metric, and W_s^s for its s-th power.

    Returns:
      P `[n, m]`, a vertex of the polytope of plans: at most n + m - 1 entries are nonzero.
    """
    return transport(p, q, cost).plan
