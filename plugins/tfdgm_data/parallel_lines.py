"""A line beside the one that a generator starts on."""

from typing import Any

import numpy as np

from tfdgm_data.toy import Toy


class ParallelLines(Toy):
    """x = (theta, u), u ~ U[0, 1]: a segment at distance |theta| of the one at 0 (Arjovsky et al. 2017, example 1).

    Between it and the parallel segment {0} x [0, 1] the Wasserstein distance is |theta|, the Jensen-Shannon divergence
    log 2, both KLs are infinite and the total variation is 1, for every theta other than 0. It has no density.

    Args:
      theta: the first coordinate.
      num_train: points to train on.
      num_validation: points to validate on; 0 for none.
      num_test: points to test on; 0 for none.
      sample_seed: seed of the points.
    """

    def __init__(
        self,
        *,
        theta: float = 1.0,
        num_train: int = 100_000,
        num_validation: int = 2_000,
        num_test: int = 10_000,
        sample_seed: int = 0,
    ) -> None:
        super().__init__(
            dimensions=2,
            num_train=num_train,
            num_validation=num_validation,
            num_test=num_test,
            sample_seed=sample_seed,
        )
        self.require_not_negative("|theta|", abs(theta))
        self.theta = theta

    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        return np.stack([np.full(count, self.theta), random.uniform(size=count)], axis=1)

    def describe(self) -> dict[str, Any]:
        return {"density": f"none: x1 = {self.theta:g}, x2 uniform on [0, 1]", **super().describe()}
