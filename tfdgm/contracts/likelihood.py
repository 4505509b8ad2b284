"""The likelihood p(x | z, theta)."""

from abc import abstractmethod
from typing import Any

import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.guard import is_distribution
from tfdgm.contracts.specs import BuildContext, DataSpec


class Likelihood(Component):
    """p(x | z, theta), given the decoder's output.

    Shapes, for images x `[batch, 28, 28, 1]` in a batch of 128:

        likelihood.output_shape(data)             # (28, 28, 1) for one logit a pixel, (28, 28, 1, 256) for a softmax
        p = likelihood.distribution(outputs)      # outputs [128, 28, 28, 1] -> batch shape [128], event [28, 28, 1]
        p.log_prob(x)                             # [128], nats
        p = likelihood.distribution(draws)        # draws [50, 128, 28, 28, 1] -> batch shape [50, 128]

    Attributes:
      discrete: whether p(x|z) are probabilities, of grey levels or counts, and not densities.
    """

    discrete: bool = False

    _results = {"distribution": is_distribution}  # noqa: RUF012

    def check(self, data: DataSpec) -> None:
        """Raise `tfdgm.UserError` if x is outside this likelihood's support."""

    @abstractmethod
    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        """Return the shape of the decoder's output for one example."""

    def build(self, context: BuildContext) -> None:
        """Create the variables."""

    @abstractmethod
    def distribution(self, outputs: tf.Tensor) -> Any:
        """Return p(x|z) as a tfd.Distribution of batch shape `[...]`, for `outputs` `[..., *output_shape]`."""
