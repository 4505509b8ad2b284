"""Gaussians on a circle."""

import numpy as np

from tfdgm_data.gaussian_mixture import GaussianMixture
from tfdgm_data.sampled_splits import with_split_sizes


@with_split_sizes()
class Ring(GaussianMixture):
    """M equal Gaussians, evenly spaced on a circle: c_m = r (cos 2 pi m / M, sin 2 pi m / M), m = 0..M-1.

    Source: Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN, section 4.1).

    Args:
      modes: M.
      radius: r.
      sigma: standard deviation of each Gaussian.
    """

    def __init__(self, *, modes: int = 8, radius: float = 1.0, sigma: float = 0.01) -> None:
        self.require(modes >= 1, f"modes must be at least 1, got {modes}")
        self.require_positive("radius", radius)
        angle = 2 * np.pi * np.arange(modes) / modes
        super().__init__(centres=radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), sigma=sigma)
