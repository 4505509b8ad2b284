"""Wasserstein distances between two samples: exact, and sliced."""

import dataclasses
import warnings

import numpy as np

#: Number of projections held at once: 64 MB.
_AT_ONCE = 1 << 23


def wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """Return W1 = min over couplings P of sum_ij P_ij ||x_i - y_j|| of the uniform measures on x `[n, d]`, y `[m, d]`.

    Solved as a linear program, so exact for the two samples (Peyré and Cuturi 2019, section 3.5).

    Raises:
      ArithmeticError: no solution was found in a million iterations.
    """
    from scipy.spatial.distance import cdist

    p, q = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    return transport(p, q, cdist(x.astype(np.float64), y.astype(np.float64))).cost


@dataclasses.dataclass(frozen=True)
class Transport:
    """An optimal plan between p `[n]` and q `[m]` under a cost c `[n, m]`, with the dual solution that proves it.

    Attributes:
      plan: P `[n, m]`, not negative, with row sums p and column sums q.
      cost: sum_ij P_ij c_ij.
      u, v: Kantorovich potentials `[n]`, `[m]`: u_i + v_j <= c_ij everywhere, and sum p u + sum q v is the cost.
    """

    plan: np.ndarray
    cost: float
    u: np.ndarray
    v: np.ndarray


def transport(p: np.ndarray, q: np.ndarray, cost: np.ndarray) -> Transport:
    """Minimise sum_ij P_ij c_ij over P by the network simplex method (Peyré and Cuturi 2019, section 3.5).

    Args:
      p: probabilities `[n]`.
      q: probabilities `[m]`.
      cost: c `[n, m]`, finite.

    Raises:
      ArithmeticError: no solution was found in a million iterations.
    """
    from ot import emd  # imports TensorFlow, and takes half a second after it

    p, q, cost = (array.astype(np.float64) for array in (p, q, cost))
    # The solver's tolerance is absolute: for costs near 1e-12 its plans were far from optimal. A power of two is
    # exact.
    unit = 2.0 ** np.ceil(np.log2(np.abs(cost).max())) if cost.any() else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `log` has the same warning
        plan, log = emd(p, q, cost / unit, numItermax=1_000_000, log=True)
    if log["warning"] is not None:
        raise ArithmeticError(f"no optimal transport plan found: {log['warning']}")
    return Transport(plan, unit * float(log["cost"]), unit * log["u"], unit * log["v"])


def sliced_wasserstein(x: np.ndarray, y: np.ndarray, order: int = 1, directions: int = 1_000, seed: int = 0) -> float:
    """Return (E W_p(<u, x>, <u, y>)^p)^(1/p), u uniform on the sphere (Bonneel et al. 2015).

    Args:
      x: `[n, d]`.
      y: `[m, d]`.
      order: p, 1 or 2.
      directions: number of draws of u; ignored in one dimension, which has a single line.
      seed: seed of the directions.
    """
    lines = unit_vectors(directions, x.shape[1], seed)
    total = 0.0
    size = max(1, _AT_ONCE // max(len(x), len(y)))
    for start in range(0, len(lines), size):
        part = lines[start : start + size]
        total += np.sum(line_cost(part @ x.T.astype(np.float64), part @ y.T.astype(np.float64), order))
    return float((total / len(lines)) ** (1 / order))


def unit_vectors(number: int, size: int, seed: int) -> np.ndarray:
    """Draw uniformly on the sphere of R^size, `[number, size]`; in one dimension return the single line."""
    if size == 1:
        return np.ones((1, 1))
    vectors = np.random.RandomState(seed).standard_normal((number, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def line_cost(x: np.ndarray, y: np.ndarray, order: int) -> np.ndarray:
    """Return W_p^p between uniform measures on x `[lines, n]` and y `[lines, m]`: int_0^1 |F^-1(t) - G^-1(t)|^p dt."""
    x, y = np.sort(x, axis=1), np.sort(y, axis=1)
    n, m = x.shape[1], y.shape[1]
    if n == m:
        return np.mean(np.abs(x - y) ** order, axis=1)
    # Both quantile functions are constant between neighbours in the union of {i/n} and {j/m}; integers are exact.
    ends = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    starts = ends[:-1]
    return np.abs(x[:, starts // m] - y[:, starts // n]) ** order @ (np.diff(ends) / (n * m))
