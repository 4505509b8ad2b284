"""Squared Euclidean distances between two sets of points, in blocks of rows."""

from collections.abc import Iterator

import numpy as np

#: Number of distances held at once: 64 MB, and as much again in temporaries.
_AT_ONCE = 1 << 23
_ROUNDING = 2.0**-53


def squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows of x, ||x_i - y_j||^2 `[rows, m]`) for x `[n, d]` and y `[m, d]`, float64, in order.

    Computed as ||x||^2 + ||y||^2 - 2 x y' by matrix products, in float64, since rounding of float32 exceeds the
    distances of close points in a wide set. Distances between integers, such as binary pixels, are exact, so ties stay
    ties. Values within the error bound (2 d + 3) 2^-53 (||x||^2 + ||y||^2) are set to 0, so equal points have distance
    0.
    """
    # With a row of the set as the origin, large offsets cancel and integers stay integers.
    origin = y[0].astype(np.float64)
    x, y = x - origin, y - origin
    x_norms, y_norms = (np.einsum("nd,nd->n", points, points) for points in (x, y))
    size = max(1, _AT_ONCE // len(y))
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        norms = x_norms[rows, None] + y_norms
        block = (-2 * x[rows]) @ y.T
        block += norms
        norms *= (2 * x.shape[1] + 3) * _ROUNDING
        block[block <= norms] = 0
        yield rows, block
