"""Gaussians on a circle."""

import numpy as np

from tfdgm_data.gaussian_mixture import GaussianMixture


class Ring(GaussianMixture):
    """M equal Gaussians, evenly spaced on a circle: c_m = r (cos 2 pi m / M, sin 2 pi m / M), m = 0..M-1.

    The ring of Srivastava et al. 2017 (VEEGAN) and of Lin et al. 2018 (PacGAN, section 4.1).

    Args:
      modes: M.
      radius: r.
      sigma: standard deviation of each Gaussian.
      num_train: points to train on.
      num_validation: points to validate on; 0 for none.
      num_test: points to test on; 0 for none.
      sample_seed: seed of the points.
    """

    def __init__(
        self,
        *,
        modes: int = 8,
        radius: float = 1.0,
        sigma: float = 0.01,
        num_train: int = 100_000,
        num_validation: int = 2_000,
        num_test: int = 10_000,
        sample_seed: int = 0,
    ) -> None:
        self.require(modes >= 1, f"modes must be at least 1, got {modes}")
        self.require_positive("radius", radius)
        angle = 2 * np.pi * np.arange(modes) / modes
        super().__init__(
            centres=radius * np.stack([np.cos(angle), np.sin(angle)], axis=1),
            sigma=sigma,
            num_train=num_train,
            num_validation=num_validation,
            num_test=num_test,
            sample_seed=sample_seed,
        )
