"""Squared Euclidean distances between two sets of points, a block of rows at a time."""

from collections.abc import Iterator

import numpy as np

#: Distances held at once: 64 MB, and as much besides.
_AT_ONCE = 1 << 23
_ROUNDING = 2.0**-53


def squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """(rows of x, ||x_i - y_j||^2 `[rows, m]`) for x `[n, d]` and y `[m, d]`, float64, in order.

    ||x||^2 + ||y||^2 - 2 x y' by matrix products. The distances of integers, such as binary pixels, come out exact, so
    that ties stay ties. In float32 close points of a wide set would drown in rounding. What may be rounding alone is 0,
    so that equal points are: at most (2 d + 3) 2^-53 (||x||^2 + ||y||^2), the bound on the error of the three sums.
    """
    # Distances do not change with the origin. At a row of the set, large offsets cancel and integers stay integers.
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
