"""A line segment parallel to the one that a generator starts from."""

from typing import Any

import numpy as np

from tfdgm_data.sampled_splits import with_split_sizes
from tfdgm_data.toy import Toy


@with_split_sizes()
class ParallelLines(Toy):
    """x = (theta, u), u ~ U[0, 1]: a segment at distance |theta| from the one at 0 (Arjovsky et al. 2017, example 1).

    For every theta != 0, the distances to the parallel segment {0} x [0, 1] are: Wasserstein |theta|, Jensen-Shannon
    divergence log 2, both KL divergences infinite, total variation 1. The distribution has no density.

    Args:
      theta: the first coordinate.
    """

    def __init__(self, *, theta: float = 1.0) -> None:
        super().__init__(dimensions=2)
        self.require_not_negative("|theta|", abs(theta))
        self.theta = theta

    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        return np.stack([np.full(count, self.theta), random.uniform(size=count)], axis=1)

    def describe(self) -> dict[str, Any]:
        return {"density": f"none: x1 = {self.theta:g}, x2 uniform on [0, 1]", **super().describe()}
