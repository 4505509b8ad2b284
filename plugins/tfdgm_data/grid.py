"""Gaussians on a square grid."""

import numpy as np

from tfdgm_data.gaussian_mixture import GaussianMixture


class Grid(GaussianMixture):
    """side^2 equal Gaussians on an even grid: both coordinates of a centre take `side` values from -extent to extent.

    The grid of Srivastava et al. 2017 (VEEGAN) and of Lin et al. 2018 (PacGAN, section 4.1). Mode number
    side i + j has the i-th value of x1 and the j-th of x2.

    Args:
      side: centres along one side.
      extent: largest coordinate of a centre.
      sigma: standard deviation of each Gaussian.
      num_train: points to train on.
      num_validation: points to validate on; 0 for none.
      num_test: points to test on; 0 for none.
      sample_seed: seed of the points.
    """

    def __init__(
        self,
        *,
        side: int = 5,
        extent: float = 4.0,
        sigma: float = 0.05,
        num_train: int = 100_000,
        num_validation: int = 2_000,
        num_test: int = 10_000,
        sample_seed: int = 0,
    ) -> None:
        self.require(side >= 2, f"side must be at least 2, got {side}")
        self.require_positive("extent", extent)
        values = np.linspace(-extent, extent, side)
        super().__init__(
            centres=np.stack(np.meshgrid(values, values, indexing="ij"), axis=-1).reshape(-1, 2),
            sigma=sigma,
            num_train=num_train,
            num_validation=num_validation,
            num_test=num_test,
            sample_seed=sample_seed,
        )
