"""The residual convolutional network between images, vectors and grids of codes."""

import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import keras
import tensorflow as tf

from tfdgm import BuildContext, Component, ConditionSpec, Context, Network
from tfdgm_networks.images import Size, as_image, path
from tfdgm_networks.normalization import BatchNormalization

_LEAST_CHANNELS = 16


class Conv(Network):
    """Strided convolutions and residual blocks at the coarsest size (VQ-VAE; van den Oord et al. 2017, section 4.1).

    Shapes `(height, width, channels)` are images, and so is x, however the data stores it. To a smaller image, the
    network halves the size by convolutions of stride 2, rounding up; to a larger image, it doubles the size by
    transposed convolutions, and crops. An affine map connects a vector to the first size of at most `smallest` pixels
    a side.

    A condition y scales and shifts the channels before every activation: h -> (1 + a(y)) h + b(y), with a and b linear
    (FiLM; Perez et al. 2018), starting at 0.

    Args:
      width: number of channels at the coarsest size; each finer size has half as many, at least 16.
      residual_blocks: number of blocks x + conv1x1(f(conv3x3(f(x)))), f the activation.
      smallest: side in pixels at which halving stops, for vectors.
      activation: name of a Keras activation.
      normalization: "batch" for batch normalisation before every activation (`BatchNormalization`).
    """

    conditional = True

    def __init__(
        self,
        *,
        width: int = 64,
        residual_blocks: int = 2,
        smallest: int = 4,
        activation: str = "relu",
        normalization: Literal["batch"] | None = None,
    ) -> None:
        self.require(width >= 1, f"width must be at least 1, got {width}")
        self.require(residual_blocks >= 0, f"residual_blocks must not be negative, got {residual_blocks}")
        self.require(smallest >= 1, f"smallest must be at least 1, got {smallest}")
        self.require(
            activation != "glu",
            'activation must not be "glu": it halves the channels, which residual blocks need to keep',
        )
        try:
            self.activate = keras.activations.get(activation)
        except ValueError:
            self.require(False, f"activation must be the name of a Keras activation, got {activation!r}")
        self.width = width
        self.residual_blocks = residual_blocks
        self.smallest = smallest
        self.normalization = normalization
        self.mixes_examples = normalization == "batch"

    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        self.output_shape = output_shape
        self.condition = context.condition
        source, target = as_image(input_shape, context.data), as_image(output_shape, context.data)
        if source and target:  # z and its features are vectors, even if their shape happens to be that of x
            if input_shape == context.latent.decoder_input_shape and len(input_shape) != 3:
                source = None
            elif input_shape == context.data.shape and len(output_shape) != 3:
                target = None
        self.sizes = path(source, target, self.smallest, self.display_name())
        make = Layers(context, bias=not self.normalization)  # normalisation removes a bias
        coarse_at_end = self.sizes[0] >= self.sizes[-1]
        steps = len(self.sizes) - 1
        finer = [self.width_at(distance) for distance in range(steps, 0, -1)]

        self.entry: Any = None
        if source is None:
            self.entry = make.dense(math.prod(input_shape), math.prod(self.sizes[0]) * self.width)
        channels = self.width if source is None else source[2]
        self.input_image = (*self.sizes[0], channels)

        self.down: list[Any] = []
        if coarse_at_end:
            for before, after in itertools.pairwise([channels, *finer[1:], self.width][: steps + 1]):
                self.down.append((make.conv(before, after, kernel=4, stride=2), self.activation(after)))
            channels = self.width if steps else channels
        self.middle = make.conv(channels, self.width, kernel=3)
        self.blocks = [Residual(self.width, self.activation, make) for _ in range(self.residual_blocks)]
        self.last_activation = self.activation(self.width)
        self.up: list[Any] = []
        last = target[2] if target is not None else math.prod(output_shape)
        if not coarse_at_end:
            for before, after in itertools.pairwise([self.width, *finer[::-1][: steps - 1], last]):
                activation = self.activation(before) if self.up else None
                at_end = len(self.up) == steps - 1
                self.up.append((activation, make.transposed(before, after, bias=at_end or make.bias)))
        self.exit: Any = None
        if target is None:
            self.exit = make.dense(math.prod(self.sizes[-1]) * self.width, last)
        elif coarse_at_end:
            self.exit = make.conv(self.width, last, kernel=1, bias=True)
        self.flattens = target is None

    def activation(self, channels: int) -> "Activation":
        return Activation(self.activate, channels, bool(self.normalization), self.condition)

    def width_at(self, distance: int) -> int:
        """Return the number of channels `distance` halvings above the coarsest size."""
        return max(min(_LEAST_CHANNELS, self.width), self.width >> distance)

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Map `[batch, *input_shape]` to `[batch, *output_shape]`."""
        if self.entry is not None:
            x = self.entry(tf.reshape(x, [tf.shape(x)[0], -1]))
        hidden = tf.reshape(x, [-1, *self.input_image])
        for layer, activation in self.down:
            hidden = activation(layer(hidden), context)
        hidden = self.middle(hidden)
        for block in self.blocks:
            hidden = block(hidden, context)
        hidden = self.last_activation(hidden, context)
        for number, (activation, layer) in enumerate(self.up):
            hidden = crop(layer(activation(hidden, context) if activation else hidden), self.sizes[number + 1])
        if self.flattens:
            hidden = tf.reshape(hidden, [-1, math.prod(hidden.shape[1:])])
        if self.exit is not None:
            hidden = self.exit(hidden)
        return tf.reshape(hidden, [-1, *self.output_shape])


class Activation(Component):
    """f(x), with batch normalisation, and with scale and shift by a condition, before it where asked for."""

    def __init__(
        self,
        activate: Callable[[tf.Tensor], tf.Tensor],
        channels: int,
        normalised: bool,
        condition: ConditionSpec | None,
    ) -> None:
        self.activate = activate
        self.norm = BatchNormalization(channels) if normalised else None
        self.condition = condition
        self.modulation: Any = None
        if condition is not None:
            self.modulation = keras.layers.Dense(2 * channels, use_bias=False, kernel_initializer="zeros")
            self.modulation.build((None, condition.width))

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        if self.norm is not None:
            x = self.norm(x, context)
        if self.condition is not None:
            scale, shift = tf.split(self.modulation(self.condition.features(context.y))[:, None, None], 2, axis=-1)
            x = (1 + scale) * x + shift
        return self.activate(x)


class Residual(Component):
    """x + conv1x1(f(conv3x3(f(x))))."""

    def __init__(self, width: int, activation: Callable[[int], Activation], make: "Layers") -> None:
        self.before, self.between = activation(width), activation(width)
        self.wide = make.conv(width, width, kernel=3)
        self.mix = make.conv(width, width, kernel=1)

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        return x + self.mix(self.between(self.wide(self.before(x, context)), context))


class Layers:
    """Makes built layers, each with its own seed; `bias` says whether convolutions have one by default."""

    def __init__(self, context: BuildContext, bias: bool) -> None:
        self.context = context
        self.bias = bias
        self.made = 0

    def _initializer(self) -> Any:
        self.made += 1
        return keras.initializers.HeUniform(seed=self.context.seed_for(f"layer {self.made}"))

    def dense(self, inputs: int, outputs: int) -> keras.layers.Dense:
        layer = keras.layers.Dense(outputs, kernel_initializer=self._initializer())
        layer.build((None, inputs))
        return layer

    def conv(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool | None = None
    ) -> keras.layers.Conv2D:
        layer = keras.layers.Conv2D(
            outputs,
            kernel,
            strides=stride,
            padding="same",
            use_bias=self.bias if bias is None else bias,
            kernel_initializer=self._initializer(),
        )
        layer.build((None, None, None, inputs))
        return layer

    def transposed(self, inputs: int, outputs: int, bias: bool) -> keras.layers.Conv2DTranspose:
        layer = keras.layers.Conv2DTranspose(
            outputs, 4, strides=2, padding="same", use_bias=bias, kernel_initializer=self._initializer()
        )
        layer.build((None, None, None, inputs))
        return layer


def crop(images: tf.Tensor, size: Size) -> tf.Tensor:
    """Crop every image to its upper left `size`."""
    return images[:, : size[0], : size[1]]
