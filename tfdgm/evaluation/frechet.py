"""The Fréchet distance between Gaussians."""

import numpy as np


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return `gaussian_frechet_distance` of the moments of two sets `[n, d]` and `[m, d]`, n, m > 1.

    The estimate has a positive bias of O(1/n) (Chong and Forsyth 2020). With fewer points than dimensions no `[d, d]`
    matrix is made: C1 = A'A and C2 = B'B for the centred sets A and B over the roots of n - 1 and m - 1, and the
    singular values of C1^(1/2) C2^(1/2) that are not zero are those of A B', `[n, m]`.
    """
    if max(len(real), len(fake)) < real.shape[1]:
        (real_mean, a), (fake_mean, b) = _factor(real), _factor(fake)
        cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
        distance = np.sum((real_mean - fake_mean) ** 2) + np.sum(a**2) + np.sum(b**2) - 2 * cross
        return max(0.0, float(distance))
    (real_mean, real_covariance), (fake_mean, fake_covariance) = moments(real), moments(fake)
    return gaussian_frechet_distance(real_mean, real_covariance, fake_mean, fake_covariance)


def _factor(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean `[d]` and A `[n, d]` in float64, where A'A is the unbiased covariance."""
    points = points.astype(np.float64)
    mean = points.mean(axis=0)
    return mean, (points - mean) / np.sqrt(len(points) - 1)


def moments(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean `[d]` and unbiased covariance `[d, d]` in float64."""
    points = points.astype(np.float64)
    mean = points.mean(axis=0)
    centred = points - mean
    return mean, centred.T @ centred / (len(points) - 1)


def gaussian_frechet_distance(m1: np.ndarray, c1: np.ndarray, m2: np.ndarray, c2: np.ndarray) -> float:
    """Return ||m1 - m2||^2 + tr(C1 + C2 - 2 (C1^(1/2) C2 C1^(1/2))^(1/2)), the squared Wasserstein-2 distance.

    Source: Dowson and Landau 1982; Heusel et al. 2017, equation 6. The trace of the root is the sum of the singular
    values of C1^(1/2) C2^(1/2). Nothing is inverted, and no root of a difference is taken, so rank-deficient
    covariances lose no digits; square roots of the product's eigenvalues would turn its rounding error of 1e-16 into
    1e-8 for every direction without variance.
    """
    cross = np.linalg.svd(symmetric_root(c1) @ symmetric_root(c2), compute_uv=False).sum()
    distance = np.sum((m1 - m2) ** 2) + np.trace(c1) + np.trace(c2) - 2 * cross
    return max(0.0, float(distance))


def symmetric_root(c: np.ndarray) -> np.ndarray:
    """Return C^(1/2) of a symmetric positive semi-definite matrix; negative eigenvalues are rounding errors."""
    values, vectors = np.linalg.eigh(c)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
