"""Training rows for all contenders, by NumPy alone, so that no library pays for another's import.

They have the shape, the type and the number of the data that the configs name, and random values: the time of a step
does not depend on them.
"""

from collections.abc import Callable

import numpy as np

DIGITS, RING, PATCHES = 1_297, 100_000, 22_572


def digits() -> np.ndarray:
    """Return grey digits in [0, 1], float32 `[1297, 64]`."""
    return np.random.RandomState(0).rand(DIGITS, 64).astype(np.float32)


def ring() -> np.ndarray:
    """Return points of the plane, float32 `[100000, 2]`."""
    angles = np.random.RandomState(0).rand(RING) * 2 * np.pi
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def patches() -> np.ndarray:
    """Return colour patches, uint8 `[22572, 32, 32, 3]`."""
    return np.random.RandomState(0).randint(0, 256, (PATCHES, 32, 32, 3)).astype(np.uint8)


def batches(rows: int, shape: tuple[int, ...]) -> Callable[[], np.ndarray]:
    """Return a function that draws the positions of the batches of a call, int32 `shape`, below `rows`."""
    random = np.random.RandomState(1)
    return lambda: random.randint(0, rows, shape).astype(np.int32)


def layers(sizes: list[tuple[int, int]], seed: int = 0) -> list[np.ndarray]:
    """Return the kernels of dense layers, then their biases, float32."""
    random = np.random.RandomState(seed)
    kernels = [random.randn(*size) * np.sqrt(2 / size[0]) for size in sizes]
    return [w.astype(np.float32) for w in [*kernels, *(np.zeros(size[1]) for size in sizes)]]
