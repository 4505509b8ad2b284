"""A network for tfdgm."""

import math

import keras
import tensorflow as tf
from tfdgm import BuildContext, Context, Network


class ExampleNetwork(Network):
    """One affine layer.

    Args:
      use_bias: whether it has a bias.
    """

    plugin_api = 2

    def __init__(self, *, use_bias: bool = True) -> None:
        self.use_bias = use_bias

    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        self.input_size, self.output_shape = math.prod(input_shape), output_shape
        initializer = keras.initializers.GlorotUniform(seed=context.seed_for("kernel"))
        self.layer = keras.layers.Dense(math.prod(output_shape), use_bias=self.use_bias, kernel_initializer=initializer)
        self.layer.build((None, self.input_size))

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        return tf.reshape(self.layer(tf.reshape(x, [-1, self.input_size])), [-1, *self.output_shape])
