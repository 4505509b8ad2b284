"""The posterior q(z | x, phi)."""

import dataclasses
from abc import abstractmethod
from typing import Any

import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.guard import is_distribution, kind_of_result
from tfdgm.contracts.specs import BuildContext, DataSpec, LatentSpec
from tfdgm.numerics.embeddings import embed_codes


@dataclasses.dataclass(frozen=True)
class Latent:
    """The posterior of one batch, with a draw from it.

    Attributes:
      distribution: q(z|x), batch shape `[batch]`, event shape `LatentSpec.event_shape`.
      value: one draw from it, `[batch, *event_shape]`, at which log q and log p are evaluated; integers if discrete.
      z: the decoder's input, `[batch, *decoder_input_shape]`; differentiable with respect to the features.
      relaxed: for codes with gradients, points of the simplex `[batch, *event_shape, K]` near the one-hot codes; else
        None.
      codebook: E `[K, C]` or `[L, K, C]`, to which a density on vectors is restricted, and which its gradient reaches;
        None stands for `Posterior.codebook()`.
      losses: terms that the model minimises in addition to its objectives (commitment), by name, each `[batch]`.
      metrics: tensors whose mean is logged (perplexity), by name.
    """

    distribution: Any
    value: tf.Tensor
    z: tf.Tensor
    relaxed: tf.Tensor | None = None
    codebook: tf.Tensor | None = None
    losses: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    metrics: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


class Posterior(Component):
    """q(z | x, phi), computed from the encoder's features of x.

    Shapes for a Gaussian with diagonal covariance, d = 8 and a batch of 128:

        posterior.feature_shape(latent)               # (16,): a mean and a scale for each dimension
        q = posterior.distribution(features, context) # features [128, 16] -> batch shape [128], event shape [8]
        latent = posterior(features, context)         # value and z [128, 8]

    and for vector quantisation with a 4 x 4 grid of 512 codes, each embedded in R^64:

        posterior.feature_shape(latent)               # (4, 4, 64): one vector for each position
        q = posterior.distribution(features, context) # features [128, 4, 4, 64] -> batch [128], event [4, 4]
        latent = posterior(features, context)         # value [128, 4, 4] integers, z [128, 4, 4, 64]
        posterior.codebook()                          # [512, 64]
        posterior.embed(latent.value)                 # [128, 4, 4, 64]

    With L = 3 codes per position, `LatentSpec.codebooks`, the values are `[128, 4, 4, 3]` and the codebook `[3, 512,
    64]`; the other shapes are the same, since the embedding is the sum over the three.
    """

    _results = {"distribution": is_distribution, "__call__": kind_of_result(lambda: Latent, "a tfdgm.Latent")}  # noqa: RUF012

    @abstractmethod
    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        """Return the shape of the latent, given `experiment.latent_size`."""

    @abstractmethod
    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        """Return the shape of the encoder's output for one example."""

    def build(self, context: BuildContext) -> None:
        """Create the variables."""

    @abstractmethod
    def distribution(self, features: tf.Tensor, context: Context) -> Any:
        """Return q(z|x) as a tfd.Distribution: the exact one, never its relaxation, since evaluation uses it.

        If the latent is discrete, it is a `tfd.Independent` over all codes of the grid, with integer draws.
        """

    @abstractmethod
    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        """Return q(z|x), a draw from it, and the decoder's input; the input is relaxed only if `context.training`."""

    def embed(self, value: tf.Tensor) -> tf.Tensor:
        """Return the decoder's input for a value of z: the value itself for vectors, `embed_codes` for codes.

        Any leading dimensions are kept.
        """
        return embed_codes(value, self.codebook()) if value.dtype.is_integer else value

    def codebook(self) -> tf.Tensor:
        """Return the codebook E of a discrete posterior, `[K, C]`, or `[L, K, C]` with L codes per position.

        The core restricts densities on vectors to it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no codebook")
