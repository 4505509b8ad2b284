"""A data set for tfdgm."""

import numpy as np
from tfdgm import ArraySource, Data, DataSpec, Source


class ExampleData(Data):
    """Points in the plane on a noisy circle of radius 1.

    Args:
      noise: standard deviation around the circle.
    """

    plugin_api = 2

    def __init__(self, *, noise: float = 0.05) -> None:
        self.require_positive("noise", noise)
        self.noise = noise
        self.spec = DataSpec(shape=(2,))

    def splits(self) -> dict[str, Source]:
        random = np.random.RandomState(0)
        angle = random.uniform(0, 2 * np.pi, 12_000)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1) + self.noise * random.randn(12_000, 2)
        points = points.astype(np.float32)
        return {
            "train": ArraySource(points[:10_000]),
            "validation": ArraySource(points[10_000:11_000]),
            "test": ArraySource(points[11_000:]),
        }
