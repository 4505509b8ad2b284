"""The masked autoregressive network (Germain et al. 2015) that a flow's bijectors are made of."""

import dataclasses
import itertools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, Component

#: Kernel `[in, out]`, masked, and bias `[out]` of every layer; with several networks in one, an axis of them in front.
Layers = list[tuple[tf.Tensor, tf.Tensor]]

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


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What the networks of a flow have in common.

    Attributes:
      size: d.
      hidden: widths of the hidden layers.
      activation: name of a Keras activation that works on each unit by itself.
      log_scale_bound: b in log scale = b tanh(a / b); keeps every scale within exp(-b)..exp(b).
    """

    size: int
    hidden: tuple[int, ...]
    activation: str
    log_scale_bound: float

    def activate(self, x: tf.Tensor) -> tf.Tensor:
        return keras.activations.get(self.activation)(x)

    def log_scale(self, raw: tf.Tensor) -> tf.Tensor:
        """b tanh(a / b)."""
        return self.log_scale_bound * tf.tanh(raw / self.log_scale_bound)

    def __call__(self, z: tf.Tensor, layers: Layers) -> tuple[tf.Tensor, tf.Tensor]:
        """z `[n, d]` -> (shift, log scale), each `[n, d]`; the i-th depends on z_1..z_(i-1) alone."""
        hidden = z
        for number, (kernel, bias) in enumerate(layers):
            hidden = (self.activate(hidden) if number else hidden) @ kernel + bias
        shift, raw = tf.split(hidden, 2, axis=-1)
        return shift, self.log_scale(raw)


class MADE(Component):
    """The weights of one network.

    Args:
      architecture: their shapes.
      context: for the seeds.
    """

    def __init__(self, architecture: Architecture, context: BuildContext) -> None:
        self.masks = masks(architecture.size, architecture.hidden)
        self.kernels, self.biases = [], []
        for number, mask in enumerate(self.masks):
            initializer = keras.initializers.GlorotUniform(seed=context.seed_for(f"layer {number}"))
            kernel = initializer(mask.shape) * (_LAST_LAYER_SCALE if mask is self.masks[-1] else 1.0)
            self.kernels.append(keras.Variable(kernel * mask, name="kernel"))
            self.biases.append(keras.Variable(tf.zeros(mask.shape[1]), name="bias"))

    def layers(self) -> Layers:
        return _masked(self.kernels, self.biases, self.masks)


class StackedMADE(Component):
    """The weights of several networks of one architecture, those of a layer in one variable `[networks, in, out]`.

    Args:
      networks: gives the initial values.
    """

    def __init__(self, networks: Sequence[MADE]) -> None:
        self.masks = networks[0].masks
        stacks = stacked([network.layers() for network in networks])
        self.kernels = [keras.Variable(kernel, name="kernel") for kernel, _ in stacks]
        self.biases = [keras.Variable(bias, name="bias") for _, bias in stacks]

    def layers(self) -> Layers:
        return _masked(self.kernels, self.biases, self.masks)


def stacked(networks: Sequence[Layers]) -> Layers:
    """The layers of several networks as those of one, with an axis of networks in front."""
    return [
        (tf.stack([kernel for kernel, _ in layer]), tf.stack([bias for _, bias in layer]))
        for layer in zip(*networks, strict=True)
    ]


def _masked(kernels: list[keras.Variable], biases: list[keras.Variable], masks: list[np.ndarray]) -> Layers:
    return [
        (kernel.value * mask, tf.convert_to_tensor(bias.value))
        for kernel, bias, mask in zip(kernels, biases, masks, strict=True)
    ]
