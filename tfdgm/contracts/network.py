"""The bodies of encoder, decoder and critic."""

import functools
from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.specs import BuildContext


class Network(Component):
    """A function approximator from one shape to another, both without the batch.

    Use `context.seed_for` for dropout, and `context.collect` with `update_statistics` for moving statistics. Keras's
    own random generator and BatchNormalization are wrong on several devices.

    Under `experiment.precision = "bfloat16"` Keras layers made in `build` compute in bfloat16 and keep their weights in
    float32; what a call returns is float32 in any case.

    Attributes:
      mixes_examples: whether in training the output for one example depends on the other examples of its shard, as it
        does under batch normalisation. The gradient of one output with respect to its own input is then not all there
        is, and an objective that penalises it refuses the network. A network made of others answers for them too.
    """

    mixes_examples: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _in_precision(cls.build)  # type: ignore[method-assign]
        if "__call__" in cls.__dict__:
            cls.__call__ = _to_float32(cls.__call__)  # type: ignore[method-assign]

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        """Makes the variables; initialisers take `context.seed_for(...)`."""

    @abstractmethod
    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """`[batch, *input_shape]` -> `[batch, *output_shape]`."""


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
