"""The masked autoregressive network (Germain et al. 2015) of a flow's bijectors, and what all flows' networks share."""

import dataclasses
import itertools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, Component

#: Masked kernel `[in, out]` and bias `[out]` of every layer; stacked networks have a leading axis of networks.
Layers = list[tuple[tf.Tensor, tf.Tensor]]

#: The last layer starts near zero, so that a flow starts near the identity.
LAST_LAYER_SCALE = 0.01

#: Activations that are not elementwise, which would bypass masks or change widths, and one that needs parameters.
_NOT_OF_ONE_UNIT = ("glu", "softmax", "log_softmax", "sparsemax", "threshold")


def check_networks(plugin: Component, hidden: Sequence[int], activation: str) -> None:
    """Refuse settings of a flow's networks out of range."""
    plugin.require(
        len(hidden) > 0 and all(w > 0 for w in hidden), f"hidden must be positive widths, at least one, got {hidden}"
    )
    plugin.require(
        activation not in _NOT_OF_ONE_UNIT,
        f'activation must be elementwise, since others bypass masks or change widths, got "{activation}"',
    )
    try:
        keras.activations.get(activation)
    except ValueError:
        plugin.require(False, f"activation must be the name of a Keras activation, got {activation!r}")


def degrees(size: int, hidden: Sequence[int]) -> list[np.ndarray]:
    """Return the degrees of units by layer: inputs 1..d, hidden units 1..d-1 in turn (Germain et al. 2015, sec. 4)."""
    return [np.arange(1, size + 1), *(np.arange(units) % max(1, size - 1) + 1 for units in hidden)]


def masks(size: int, hidden: Sequence[int]) -> list[np.ndarray]:
    """Return 0/1 masks `[in, out]` of the layers: output i depends on inputs j < i only.

    A hidden unit is connected to units of its degree or less, an output to hidden units of smaller degree.
    """
    layers = degrees(size, hidden)
    between = [before[:, None] <= after[None, :] for before, after in itertools.pairwise(layers)]
    output = layers[-1][:, None] < layers[0][None, :]
    return [mask.astype(np.float32) for mask in [*between, np.concatenate([output, output], axis=1)]]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The architecture that the networks of a flow share.

    Attributes:
      size: d.
      hidden: widths of the hidden layers.
      activation: name of an elementwise Keras activation.
      log_scale_bound: b in log scale = b tanh(a / b), which keeps every scale between exp(-b) and exp(b).
    """

    size: int
    hidden: tuple[int, ...]
    activation: str
    log_scale_bound: float

    def activate(self, x: tf.Tensor) -> tf.Tensor:
        return keras.activations.get(self.activation)(x)

    def log_scale(self, raw: tf.Tensor) -> tf.Tensor:
        """Return b tanh(a / b)."""
        return self.log_scale_bound * tf.tanh(raw / self.log_scale_bound)

    def __call__(self, z: tf.Tensor, layers: Layers, context: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Return shift and log scale, each `[n, d]`, for z `[n, d]`; element i depends on z_1..z_(i-1) only.

        `context`, if given, is added to the first hidden layer before its activation.
        """
        hidden = z
        for number, (kernel, bias) in enumerate(layers):
            hidden = (self.activate(hidden) if number else hidden) @ kernel + bias
            if context is not None and number == 0:
                hidden += context
        shift, raw = tf.split(hidden, 2, axis=-1)
        return shift, self.log_scale(raw)


class MADE(Component):
    """The weights of one network.

    Args:
      architecture: the network's architecture.
      context: gives the seeds.
    """

    def __init__(self, architecture: Architecture, context: BuildContext) -> None:
        self.masks = masks(architecture.size, architecture.hidden)
        self.kernels, self.biases = [], []
        for number, mask in enumerate(self.masks):
            initializer = keras.initializers.GlorotUniform(seed=context.seed_for(f"layer {number}"))
            kernel = initializer(mask.shape) * (LAST_LAYER_SCALE if mask is self.masks[-1] else 1.0)
            self.kernels.append(keras.Variable(kernel * mask, name="kernel"))
            self.biases.append(keras.Variable(tf.zeros(mask.shape[1]), name="bias"))

    def layers(self) -> Layers:
        return _masked(self.kernels, self.biases, self.masks)


class StackedMADE(Component):
    """The weights of several networks of one architecture, one variable `[networks, in, out]` per layer.

    Args:
      networks: networks with the initial values.
    """

    def __init__(self, networks: Sequence[MADE]) -> None:
        self.masks = networks[0].masks
        stacks = stacked([network.layers() for network in networks])
        self.kernels = [keras.Variable(kernel, name="kernel") for kernel, _ in stacks]
        self.biases = [keras.Variable(bias, name="bias") for _, bias in stacks]

    def layers(self) -> Layers:
        return _masked(self.kernels, self.biases, self.masks)


def stacked(networks: Sequence[Layers]) -> Layers:
    """Stack the layers of several networks along a leading axis."""
    return [
        (tf.stack([kernel for kernel, _ in layer]), tf.stack([bias for _, bias in layer]))
        for layer in zip(*networks, strict=True)
    ]


def _masked(kernels: list[keras.Variable], biases: list[keras.Variable], masks: list[np.ndarray]) -> Layers:
    return [
        (kernel.value * mask, tf.convert_to_tensor(bias.value))
        for kernel, bias, mask in zip(kernels, biases, masks, strict=True)
    ]
