"""The multilayer perceptron."""

import math
from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from tfdgm import BuildContext, Context, Network
from tfdgm_networks.normalization import BatchNormalization


class MLP(Network):
    """Dense layers with an activation after all but the last; input and output are flattened.

    A condition y is concatenated to the input: one-hot for a label, whose rows of the first kernel are an embedding.

    Args:
      hidden: widths of the hidden layers; empty for an affine map.
      activation: name of a Keras activation. "glu" gates every hidden layer: (W x + b) * sigmoid(V x + c) (Dauphin
        et al. 2017).
      normalization: "batch" for batch normalisation of every hidden layer before its activation (`BatchNormalization`).
      dropout: probability of setting a hidden unit to 0 in training.
      initializer: name of a Keras initializer of the kernels; biases start at 0.
    """

    conditional = True

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (256, 256),
        activation: str = "relu",
        normalization: Literal["batch"] | None = None,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
    ) -> None:
        self.require(all(width > 0 for width in hidden), f"every width in hidden must be positive, got {hidden}")
        self.require(0 <= dropout < 1, f"dropout must be in [0, 1), got {dropout}")
        for kind, name, get in (
            ("activation", activation, keras.activations.get),
            ("initializer", initializer, lambda name: initializer_named(name, 0)),
        ):
            try:
                get(name)
            except ValueError:
                self.require(False, f"{kind} must be the name of a Keras {kind}, got {name!r}")
        self.hidden = tuple(hidden)
        self.activation = activation
        self.normalization = normalization
        self.mixes_examples = normalization == "batch"
        self.dropout = dropout
        self.initializer = initializer

    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        self.output_shape = output_shape
        self.input_size = math.prod(input_shape)
        self.condition = context.condition
        width = self.input_size + (self.condition.width if self.condition else 0)
        self.layers = []
        self.norms: list[BatchNormalization] = []
        activation = None if self.normalization else self.activation  # applied after normalisation instead
        for number, units in enumerate([*self.hidden, math.prod(output_shape)]):
            last = number == len(self.hidden)
            gated = self.activation == "glu" and not last
            layer = keras.layers.Dense(
                2 * units if gated else units,
                activation=None if last else activation,
                use_bias=last or not self.normalization,  # normalisation removes a bias
                kernel_initializer=initializer_named(self.initializer, context.seed_for(f"layer {number}")),
            )
            layer.build((None, width))
            self.layers.append(layer)
            if self.normalization and not last:
                self.norms.append(BatchNormalization(layer.units))
            width = units

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Map `[batch, *input_shape]` to `[batch, *output_shape]`."""
        hidden = tf.reshape(x, [-1, self.input_size])
        if self.condition is not None:
            hidden = tf.concat([hidden, self.condition.features(context.y)], axis=1)
        for number, layer in enumerate(self.layers):
            if number and self.dropout and context.training:
                hidden = tf.nn.experimental.stateless_dropout(
                    hidden, self.dropout, seed=context.seed_for(f"dropout {number}")
                )
            hidden = layer(hidden)
            if number < len(self.norms):
                hidden = keras.activations.get(self.activation)(self.norms[number](hidden, context))
        return tf.reshape(hidden, [-1, *self.output_shape])


def initializer_named(name: str, seed: int) -> keras.initializers.Initializer:
    """Return the Keras initializer of a name, with a seed if it is random.

    Keras would draw a default seed from Python's generator, and so change the numbers of a program that uses both.

    Raises:
      ValueError: there is none.
    """
    try:
        return keras.initializers.get({"class_name": name, "config": {"seed": seed}})
    except TypeError:  # "zeros" and "identity" have no seed
        return keras.initializers.get(name)
