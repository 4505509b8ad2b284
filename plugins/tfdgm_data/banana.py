"""A Gaussian bent along a parabola."""

import math
from typing import Any

import numpy as np
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from tfdgm_data.sampled_splits import with_split_sizes
from tfdgm_data.toy import Toy

#: H(x2) + H(x1 | x2) = log(2 pi e 4) / 2 + log(2 pi e) / 2 nats.
ENTROPY = 1 + math.log(4 * math.pi)


@with_split_sizes()
class Banana(Toy):
    """x2 ~ N(0, 4), x1 | x2 ~ N(x2^2 / 4, 1), variances 4 and 1 (Papamakarios et al. 2017, figure 1).

    The entropy is 1 + log 4 pi = 3.5310 nats: no model has a smaller expected negative log-likelihood.
    """

    def __init__(self) -> None:
        super().__init__(dimensions=2)

    def draw(self, random: np.random.RandomState, count: int) -> np.ndarray:
        e1, e2 = random.standard_normal((2, count))
        x2 = 2 * e2
        return np.stack([bend(x2) + e1, x2], axis=1)

    def density(self) -> tfd.Distribution:
        """Return N(x2; 0, 4) N(x1; x2^2 / 4, 1), event shape `[2]`, float32; the shift along x1 preserves volume."""
        straight = tfd.MultivariateNormalDiag([0.0, 0.0], [1.0, 2.0])
        bent = tfb.RealNVP(num_masked=-1, shift_and_log_scale_fn=lambda x2, *_: (bend(x2), None))
        return tfd.TransformedDistribution(straight, bent)

    def describe(self) -> dict[str, Any]:
        return {
            "density": "x2 ~ N(0, 4), x1 | x2 ~ N(x2^2 / 4, 1), variances",
            "entropy_nats": round(ENTROPY, 4),
            **super().describe(),
        }


def bend(x2: Any) -> Any:
    """Return E[x1 | x2]."""
    return x2**2 / 4
