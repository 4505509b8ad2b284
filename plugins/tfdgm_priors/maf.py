"""The masked autoregressive flow prior."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd
from tfdgm_flows.flow import Flow
from tfdgm_flows.made import MADE, Architecture, StackedMADE, check_networks, stacked

from tfdgm import BuildContext, Context, Prior
from tfdgm_priors.bijector_loop import inverse_order
from tfdgm_priors.maf_density import to_noise, to_noise_by_loop
from tfdgm_priors.maf_sampling import from_noise

#: Largest number of bijectors with separate variables by default: the deepest flows of Papamakarios et al. 2017.
_MOST_SEPARATE = 10


class MAF(Prior):
    """p(z), the image of N(0, I) under autoregressive bijectors (Papamakarios et al. 2017).

    Each bijector is z_i = u_i exp(a_i) + m_i with (m, a) = MADE(z_1..z_(i-1)); the dimensions are permuted between
    bijectors. log p(z) takes one pass through each network. A draw costs as much, but in d sequential steps per
    bijector.

    Args:
      num_bijectors: number of autoregressive bijectors.
      hidden: widths of the hidden layers of each bijector's masked network.
      activation: name of an elementwise Keras activation.
      order: permutation between bijectors: "reverse", or "random" for fixed permutations drawn from the run's seed.
      log_scale_bound: bound on every |a_i|.
      stacked: whether one variable holds a layer of all bijectors, which are then computed in a loop. The density is
        the same, and compile time does not grow with `num_bijectors`, but variables in checkpoints have other names,
        and optimizers that use norms of whole variables (clipnorm, Lamb) see all bijectors as one. None is False up to
        10 bijectors, True above.
    """

    def __init__(
        self,
        *,
        num_bijectors: int = 4,
        hidden: Sequence[int] = (128, 128),
        activation: str = "relu",
        order: Literal["reverse", "random"] = "reverse",
        log_scale_bound: float = 3.0,
        stacked: bool | None = None,
    ) -> None:
        self.require(num_bijectors >= 1, f"num_bijectors must be at least 1, got {num_bijectors}")
        check_networks(self, hidden, activation)
        self.require(log_scale_bound > 0, f"log_scale_bound must be positive, got {log_scale_bound}")
        self.num_bijectors = num_bijectors
        self.hidden = tuple(hidden)
        self.activation = activation
        self.order = order
        self.log_scale_bound = log_scale_bound
        self.stacked = num_bijectors > _MOST_SEPARATE if stacked is None else stacked

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size
        self.architecture = Architecture(self.size, self.hidden, self.activation, self.log_scale_bound)
        networks = [
            MADE(self.architecture, context.within(f"bijector {number}")) for number in range(self.num_bijectors)
        ]
        self.networks = [] if self.stacked else networks
        self.stack = StackedMADE(networks) if self.stacked else None
        self.permutations = [self._permutation(number, context) for number in range(self.num_bijectors - 1)]

    def _permutation(self, number: int, context: BuildContext) -> list[int]:
        if self.order == "reverse":
            return list(range(self.size))[::-1]
        random = np.random.RandomState(context.seed_for(f"permutation {number}"))
        return random.permutation(self.size).tolist()

    def bijector(self) -> tfb.Bijector:
        """Return the bijector from noise u to z; its inverse is the fast direction."""
        orders = [list(range(self.size)), *map(inverse_order, self.permutations)]

        def forward(u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            layers = self.stack.layers() if self.stack else stacked([network.layers() for network in self.networks])
            return from_noise(u, layers, orders, self.architecture)

        def inverse(z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            if self.stack:
                return to_noise_by_loop(z, self.stack.layers(), orders, self.architecture)
            return to_noise(z, [network.layers() for network in self.networks], orders, self.architecture)

        return Flow(forward, inverse)

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return p(z), event shape `[d]`."""
        noise = tfd.Independent(tfd.Normal(tf.zeros([self.size]), 1.0), 1)
        return tfd.TransformedDistribution(noise, self.bijector())
