"""Equal Gaussians around given centres."""

from typing import Any

import numpy as np
import tensorflow as tf
from scipy.spatial import KDTree
from scipy.special import gammainc
from tensorflow_probability import distributions as tfd

from tfdgm import Modes
from tfdgm_data.toy import Toy

#: Distance between two centres, in sigma, beyond which draws from one are negligible near the other.
_APART = 8


class GaussianMixture(Toy):
    """pi(x) = (1/M) sum_m N(x; c_m, sigma^2 I).

    A sample belongs to the mode with the nearest centre, and is of high quality within 3 sigma of it (Srivastava et al.
    2017; Lin et al. 2018, section 4.1). Where the Gaussians do not overlap, the share of high-quality draws from pi is
    P(chi^2_d <= 9), in two dimensions 1 - exp(-9/2) = 98.89 %; a sampler with a larger share is too narrow.

    Args:
      centres: c `[M, d]`.
      sigma: standard deviation of each Gaussian in every direction.
    """

    def __init__(self, *, centres: np.ndarray, sigma: float) -> None:
        super().__init__(dimensions=centres.shape[1])
        self.require_positive("sigma", sigma)
        self.centres = centres
        self.sigma = sigma

    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        mode = random.randint(len(self.centres), size=count)
        return self.centres[mode] + self.sigma * random.standard_normal((count, self.centres.shape[1]))

    def density(self) -> tfd.Distribution:
        """Return pi(x), event shape `[d]`, float32."""
        centres = tf.constant(self.centres, tf.float32)
        scale = tf.fill(centres.shape, tf.constant(self.sigma, tf.float32))
        equal = tfd.Categorical(logits=tf.zeros(len(self.centres)))
        return tfd.MixtureSameFamily(equal, tfd.MultivariateNormalDiag(centres, scale))

    def modes(self) -> Modes:
        tree = KDTree(self.centres)

        def assign(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            distance, mode = tree.query(x)
            return mode, distance <= 3 * self.sigma

        overlap = len(tree.query_pairs(_APART * self.sigma)) > 0
        within = None if overlap else float(gammainc(self.centres.shape[1] / 2, 9 / 2))
        return Modes(len(self.centres), assign, within)

    def describe(self) -> dict[str, Any]:
        return {"density": f"{len(self.centres)} equal Gaussians of scale {self.sigma:g}", **super().describe()}
