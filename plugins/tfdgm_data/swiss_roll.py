"""A spiral in the plane, or extruded to three dimensions."""

from typing import Any, Literal

import numpy as np
from sklearn.datasets import make_swiss_roll

from tfdgm_data.sampled_splits import with_split_sizes
from tfdgm_data.toy import Toy


@with_split_sizes()
class SwissRoll(Toy):
    """(t cos t, 21 v, t sin t) + noise e, t = 3 pi (1 + 2 u) / 2, u and v ~ U[0, 1], e ~ N(0, I) (Marsland 2009).

    Drawn by scikit-learn's `make_swiss_roll`, in its units: the spiral's radius goes from 4.7 to 14.1.

    Args:
      dimensions: 2 for the spiral alone, which drops the middle coordinate; 3 for the roll.
      noise: standard deviation of the noise in every direction; with 0 the points lie on the roll.
    """

    def __init__(self, *, dimensions: Literal[2, 3] = 2, noise: float = 0.5) -> None:
        super().__init__(dimensions=dimensions)
        self.require_not_negative("noise", noise)
        self.dimensions = dimensions
        self.noise = noise

    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        roll, _ = make_swiss_roll(count, noise=self.noise, random_state=random)
        return roll[:, [0, 2]] if self.dimensions == 2 else roll

    def describe(self) -> dict[str, Any]:
        return {
            "density": f"sklearn.datasets.make_swiss_roll in {self.dimensions}-D, noise {self.noise:g}",
            **super().describe(),
        }
