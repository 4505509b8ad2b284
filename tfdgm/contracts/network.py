"""The bodies of encoder, decoder and critic."""

import functools
from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.guard import is_tensor
from tfdgm.contracts.specs import BuildContext


class Network(Component):
    """A function approximator from one shape to another, both without the batch dimension.

    Shapes for an encoder of 8 x 8 digits with d = 8, where a Gaussian posterior reads 16 features, in a batch of 128:

        network.build((64,), (16,), context)
        network(x, context)    # [128, 64] -> [128, 16]

    and for a decoder from a 4 x 4 grid of codes, each embedded in R^64, to 32 x 32 images with 3 channels:

        network.build((4, 4, 64), (32, 32, 3), context)
        network(z, context)    # [128, 4, 4, 64] -> [128, 32, 32, 3]

    Use `context.seed_for` for dropout, and `context.collect` with `update_statistics` for moving statistics. Keras's
    own random generator and BatchNormalization give wrong results on several devices.

    Under `experiment.precision = "bfloat16"` Keras layers made in `build` compute in bfloat16 and keep their weights in
    float32; the output of a call is always float32.

    Attributes:
      mixes_examples: whether in training the output for one example depends on the other examples of its shard, as it
        does under batch normalisation. An objective that penalises the gradient of each output with respect to its own
        input refuses such a network, because that gradient is then incomplete. A network composed of others sets it if
        one of them does.
      conditional: whether the network reads the condition `context.y`, if `build` received `context.condition`.
    """

    _results = {"__call__": is_tensor}  # noqa: RUF012

    mixes_examples: bool = False
    conditional: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _in_precision(cls.build)  # type: ignore[method-assign]
        if "__call__" in cls.__dict__:
            cls.__call__ = _to_float32(cls.__call__)  # type: ignore[method-assign]

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        """Create the variables; give initialisers the seed `context.seed_for(...)`."""

    @abstractmethod
    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Map `[batch, *input_shape]` to `[batch, *output_shape]`."""


def _in_precision(build: Any) -> Any:
    @functools.wraps(build)
    def built(self: Any, input_shape: Any, output_shape: Any, context: BuildContext) -> None:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16" if context.precision == "bfloat16" else "float32")
        try:
            build(self, input_shape, output_shape, context)
        finally:
            keras.config.set_dtype_policy(before)

    return built


def _to_float32(call: Any) -> Any:
    @functools.wraps(call)
    def called(self: Any, x: tf.Tensor, context: Context) -> tf.Tensor:
        return tf.cast(call(self, x, context), tf.float32)

    return called
