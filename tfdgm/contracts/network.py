"""The bodies of encoder, decoder and critic."""

import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.specs import BuildContext


class Network(Component):
    """A function approximator from one shape to another, both without the batch.

    Use `context.seed_for` for dropout and `context.collect` with `absorb` for moving statistics: Keras's own random
    generator and BatchNormalization do neither right on several devices.
    """

    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        """Makes the variables; initialisers take `context.seed_for(...)`."""
        raise NotImplementedError

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """`[batch, *input_shape]` -> `[batch, *output_shape]`."""
        raise NotImplementedError
