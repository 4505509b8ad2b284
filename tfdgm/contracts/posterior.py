"""The posterior q(z | x, phi)."""

import dataclasses
from abc import abstractmethod
from typing import Any

import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.specs import BuildContext, DataSpec, LatentSpec


@dataclasses.dataclass(frozen=True)
class Latent:
    """What a posterior makes of one batch.

    Attributes:
      distribution: q(z|x), batch shape `[batch]`, event shape `LatentSpec.event_shape`.
      value: one draw from it `[batch, *event_shape]`, at which log q and log p are evaluated; integers if discrete.
      z: what the decoder reads `[batch, *decoder_input_shape]`; differentiable with respect to the features.
      relaxed: for codes that gradients go through, points of the simplex `[batch, *positions, K]` near the one-hot
        codes; None where no gradient does.
      codebook: E `[K, C]` through which the gradient of a density restricted to it goes; None takes
        `Posterior.codebook`.
      losses: what the model minimises beside its objectives, by name, each `[batch]` (commitment).
      metrics: by name, tensors whose mean is logged (perplexity).
    """

    distribution: Any
    value: tf.Tensor
    z: tf.Tensor
    relaxed: tf.Tensor | None = None
    codebook: tf.Tensor | None = None
    losses: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    metrics: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


class Posterior(Component):
    """q(z | x, phi), from the features that the encoder computes of x."""

    @abstractmethod
    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        """The latent that this posterior infers, given `experiment.latent_size`."""

    @abstractmethod
    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        """Shape of one example's features that this posterior wants of the encoder."""

    def build(self, context: BuildContext) -> None:
        """Makes the variables."""

    @abstractmethod
    def distribution(self, features: tf.Tensor, context: Context) -> Any:
        """q(z|x) as a tfd.Distribution; exact (never relaxed), as evaluation uses it.

        A discrete one is a `tfd.Independent` over the positions of the grid, with integer draws.
        """

    @abstractmethod
    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        """q(z|x), a draw from it, and the decoder's input; relaxed only where `context.training`."""

    def embed(self, value: tf.Tensor) -> tf.Tensor:
        """The decoder's input for a value of z: the value itself for vectors, the codebook's rows for codes."""
        return tf.gather(self.codebook(), value) if value.dtype.is_integer else value

    def codebook(self) -> tf.Tensor:
        """The codebook E `[K, C]` of a discrete posterior, to which the core restricts densities."""
        raise NotImplementedError(f"{type(self).__name__} has no codebook")
