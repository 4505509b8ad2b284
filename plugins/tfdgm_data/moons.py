"""Two interleaving half circles."""

from typing import Any

import numpy as np

from tfdgm_data.sampled_splits import with_split_sizes
from tfdgm_data.toy import Toy


@with_split_sizes()
class Moons(Toy):
    """(cos t, sin t) or (1 - cos t, 1/2 - sin t), each with probability 1/2, + noise e; t ~ U[0, pi], e ~ N(0, I).

    The two moons of scikit-learn's `make_moons`, which spaces t evenly; here the points are independent.

    Args:
      noise: standard deviation of the noise in both directions; with 0 the points lie on the half circles.
    """

    def __init__(self, *, noise: float = 0.05) -> None:
        super().__init__(dimensions=2)
        self.require_not_negative("noise", noise)
        self.noise = noise

    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        t = random.uniform(0, np.pi, count)
        upper = np.stack([np.cos(t), np.sin(t)], axis=1)
        moon = np.where(random.randint(2, size=count)[:, None] == 0, upper, [1.0, 0.5] - upper)
        return moon + self.noise * random.standard_normal((count, 2))

    def describe(self) -> dict[str, Any]:
        return {"density": f"two half circles, noise {self.noise:g}", **super().describe()}
