"""The masked autoregressive flow prior."""

from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, Prior
from tfdgm_priors.made import MADE


class MAF(Prior):
    """p(z) is N(0, I) pushed through autoregressive bijectors (Papamakarios et al. 2017).

    Each bijector is z_i = u_i exp(a_i) + m_i with (m, a) = MADE(z_1..z_(i-1)); between two of them the dimensions
    change order. log p(z) takes one pass; a draw takes d passes one after the other for each bijector.

    Args:
      num_bijectors: number of autoregressive bijectors.
      hidden: widths of the hidden layers of each one's masked network.
      activation: name of a Keras activation.
      order: how the dimensions are ordered between bijectors: "reverse", or "random" for fixed permutations drawn from
        the run's seed.
      log_scale_bound: bound on every |a_i|.
    """

    def __init__(
        self,
        *,
        num_bijectors: int = 4,
        hidden: Sequence[int] = (128, 128),
        activation: str = "relu",
        order: Literal["reverse", "random"] = "reverse",
        log_scale_bound: float = 3.0,
    ) -> None:
        self.require(num_bijectors >= 1, f"num_bijectors must be at least 1, got {num_bijectors}")
        self.require(len(hidden) > 0 and all(w > 0 for w in hidden), f"hidden needs positive widths, got {hidden}")
        self.require(log_scale_bound > 0, f"log_scale_bound must be positive, got {log_scale_bound}")
        self.require(activation != "glu", 'activation "glu" halves the units, which the masks cannot follow')
        try:
            keras.activations.get(activation)
        except ValueError:
            self.require(False, f"activation must be the name of a Keras activation, got {activation!r}")
        self.num_bijectors = num_bijectors
        self.hidden = tuple(hidden)
        self.activation = activation
        self.order = order
        self.log_scale_bound = log_scale_bound

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size
        self.networks = [
            MADE(self.size, self.hidden, self.activation, self.log_scale_bound, context.within(f"bijector {number}"))
            for number in range(self.num_bijectors)
        ]
        self.permutations = [self._permutation(number, context) for number in range(self.num_bijectors - 1)]

    def _permutation(self, number: int, context: BuildContext) -> list[int]:
        if self.order == "reverse":
            return list(range(self.size))[::-1]
        random = np.random.RandomState(context.seed_for(f"permutation {number}"))
        return random.permutation(self.size).tolist()

    def bijector(self) -> tfb.Bijector:
        """From noise u to z; its inverse is the fast direction."""
        chain: list[tfb.Bijector] = []
        for number, network in enumerate(self.networks):
            if number:
                chain.append(tfb.Permute(self.permutations[number - 1]))
            chain.append(tfb.MaskedAutoregressiveFlow(network))
        return tfb.Chain(chain)

    def distribution(self, context: Context) -> tfd.Distribution:
        """Event shape `[d]`."""
        noise = tfd.Independent(tfd.Normal(tf.zeros([self.size]), 1.0), 1)
        return tfd.TransformedDistribution(noise, self.bijector())
