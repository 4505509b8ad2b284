"""The masked autoregressive network (Germain et al. 2015) that a flow's bijectors are made of."""

import itertools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, Component

#: The last layer starts near zero, so that a flow starts near the identity.
_LAST_LAYER_SCALE = 0.01


def degrees(size: int, hidden: Sequence[int]) -> list[np.ndarray]:
    """The degree of every unit, by layer: inputs 1..d, hidden units 1..d-1 in turn (Germain et al. 2015, section 4)."""
    return [np.arange(1, size + 1), *(np.arange(units) % max(1, size - 1) + 1 for units in hidden)]


def masks(size: int, hidden: Sequence[int]) -> list[np.ndarray]:
    """0/1 masks `[in, out]` of the layers: output i depends on inputs j < i alone.

    A hidden unit sees units of its degree or less; an output sees hidden units of a degree below its own.
    """
    layers = degrees(size, hidden)
    between = [before[:, None] <= after[None, :] for before, after in itertools.pairwise(layers)]
    output = layers[-1][:, None] < layers[0][None, :]
    return [mask.astype(np.float32) for mask in [*between, np.concatenate([output, output], axis=1)]]


class MADE(Component):
    """z -> (shift, log scale), each `[..., d]`; the i-th depends on z_1..z_(i-1) alone.

    Args:
      size: d.
      hidden: widths of the hidden layers.
      activation: name of a Keras activation.
      log_scale_bound: b in log scale = b tanh(a / b); keeps every scale within exp(-b)..exp(b).
      context: for the seeds.
    """

    def __init__(
        self, size: int, hidden: Sequence[int], activation: str, log_scale_bound: float, context: BuildContext
    ) -> None:
        self.size = size
        self.activation = keras.activations.get(activation)
        self.log_scale_bound = log_scale_bound
        self.masks = masks(size, hidden)
        self.kernels, self.biases = [], []
        for number, mask in enumerate(self.masks):
            initializer = keras.initializers.GlorotUniform(seed=context.seed_for(f"layer {number}"))
            kernel = initializer(mask.shape) * (_LAST_LAYER_SCALE if number == len(hidden) else 1.0)
            self.kernels.append(keras.Variable(kernel * mask, name="kernel"))
            self.biases.append(keras.Variable(tf.zeros(mask.shape[1]), name="bias"))

    def __call__(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        hidden = tf.reshape(z, [-1, self.size])
        for number, (kernel, bias, mask) in enumerate(zip(self.kernels, self.biases, self.masks, strict=True)):
            if number:
                hidden = self.activation(hidden)
            hidden = hidden @ (kernel.value * mask) + bias.value
        shift, raw = tf.split(tf.reshape(hidden, tf.concat([tf.shape(z)[:-1], [2 * self.size]], axis=0)), 2, axis=-1)
        return shift, self.log_scale_bound * tf.tanh(raw / self.log_scale_bound)
