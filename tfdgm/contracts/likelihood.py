"""The likelihood p(x | z, theta)."""

from abc import abstractmethod
from typing import Any

import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.specs import BuildContext, DataSpec


class Likelihood(Component):
    """p(x | z, theta), given the decoder's output."""

    def check(self, data: DataSpec) -> None:
        """Raises `tfdgm.UserError` where x is not in this likelihood's support."""

    @abstractmethod
    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        """Shape of one example's decoder outputs that this likelihood wants."""

    def build(self, context: BuildContext) -> None:
        """Makes the variables."""

    @abstractmethod
    def distribution(self, outputs: tf.Tensor) -> Any:
        """p(x|z) as a tfd.Distribution: `outputs` `[..., *output_shape]` gives batch shape `[...]`."""
