"""Gaussians on a square grid."""

import numpy as np

from tfdgm_data.gaussian_mixture import GaussianMixture
from tfdgm_data.sampled_splits import with_split_sizes


@with_split_sizes()
class Grid(GaussianMixture):
    """side^2 equal Gaussians on a regular grid: each coordinate takes `side` even values from -extent to extent.

    Mode number side i + j has the i-th value of x1 and the j-th of x2. Source: Srivastava et al. 2017 (VEEGAN) and Lin
    et al. 2018 (PacGAN, section 4.1).

    Args:
      side: number of centres along one side.
      extent: largest coordinate of a centre.
      sigma: standard deviation of each Gaussian.
    """

    def __init__(self, *, side: int = 5, extent: float = 4.0, sigma: float = 0.05) -> None:
        self.require(side >= 2, f"side must be at least 2, got {side}")
        self.require_positive("extent", extent)
        values = np.linspace(-extent, extent, side)
        centres = np.stack(np.meshgrid(values, values, indexing="ij"), axis=-1).reshape(-1, 2)
        super().__init__(centres=centres, sigma=sigma)
