"""A masked autoregressive flow in its fast direction, z -> u: one pass through each network."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfdgm_priors.made import Architecture, Layers

#: For each bijector, the positions of its z's dimensions in the u of the previous bijector; the identity for the first.
Orders = Sequence[Sequence[int]]


def to_noise(
    z: tf.Tensor, networks: Sequence[Layers], orders: Orders, architecture: Architecture
) -> tuple[tf.Tensor, tf.Tensor]:
    """Map z to u through one bijector after the other (Papamakarios et al. 2017, equation 4).

    Args:
      z: `[n, d]`.
      networks: the layers of each bijector's network.
      orders: how to reorder the dimensions before each bijector.
      architecture: architecture of the networks.

    Returns:
      u `[n, d]` and log |det du/dz| `[n]`.
    """
    log_det = tf.zeros_like(z[:, 0])
    for number, layers in enumerate(networks):
        if number:
            z = reordered(z, orders[number])
        z, contribution = _inverted(z, layers, architecture)
        log_det += contribution
    return z, log_det


def to_noise_by_loop(
    z: tf.Tensor, layers: Layers, orders: Orders, architecture: Architecture
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute `to_noise` in a loop over the bijectors, whose weights are stacked along the first axis.

    Compile time does not depend on the number of bijectors. For the gradient each bijector keeps only its z, `[n, d]`,
    and recomputes its network. The gradient is written out because XLA cannot compile TensorFlow's own gradient of
    weights that a loop reads, if the step is a function within a larger program.
    """
    count = len(orders)
    forth, back = tf.constant(orders), tf.constant([inverse_order(order) for order in orders])

    @tf.custom_gradient
    def flow(z: tf.Tensor, *weights: tf.Tensor) -> Any:
        def step(number: tf.Tensor, z: tf.Tensor, log_det: tf.Tensor, seen: tf.TensorArray) -> tuple[Any, ...]:
            z = tf.gather(z, forth[number], axis=1)
            u, contribution = _inverted(z, _paired([tensor[number] for tensor in weights]), architecture)
            return number + 1, u, log_det + contribution, seen.write(number, z)

        seen = tf.TensorArray(tf.float32, count, element_shape=z.shape)
        start = (tf.constant(0), z, tf.zeros_like(z[:, 0]), seen)
        _, u, log_det, seen = tf.while_loop(lambda number, *_: number < count, step, start, maximum_iterations=count)
        each_z = seen.stack()

        def gradient(of_u: tf.Tensor, of_log_det: tf.Tensor) -> tuple[tf.Tensor, ...]:
            def step(number: tf.Tensor, of_u: tf.Tensor, *of_weights: tf.TensorArray) -> tuple[Any, ...]:
                inputs = [each_z[number], *(tensor[number] for tensor in weights)]
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    outputs = _inverted(inputs[0], _paired(inputs[1:]), architecture)
                of_z, *own = tape.gradient(outputs, inputs, [of_u, of_log_det])
                written = (array.write(number, each) for array, each in zip(of_weights, own, strict=True))
                return number - 1, tf.gather(of_z, back[number], axis=1), *written

            arrays = [tf.TensorArray(tf.float32, count, element_shape=tensor.shape[1:]) for tensor in weights]
            start = (tf.constant(count - 1), of_u, *arrays)
            _, of_z, *arrays = tf.while_loop(lambda number, *_: number >= 0, step, start, maximum_iterations=count)
            return of_z, *(array.stack() for array in arrays)

        return (u, log_det), gradient

    return flow(z, *(tensor for layer in layers for tensor in layer))


def _paired(weights: Sequence[tf.Tensor]) -> Layers:
    return list(zip(weights[::2], weights[1::2], strict=True))


def _inverted(z: tf.Tensor, layers: Layers, architecture: Architecture) -> tuple[tf.Tensor, tf.Tensor]:
    """Return u_i = (z_i - m_i) exp(-a_i) and log |det du/dz| = -sum_i a_i."""
    shift, log_scale = architecture(z, layers)
    return (z - shift) * tf.exp(-log_scale), -tf.reduce_sum(log_scale, axis=-1)


def inverse_order(order: Sequence[int]) -> list[int]:
    """Return the inverse permutation."""
    return sorted(range(len(order)), key=list(order).__getitem__)


def reordered(z: tf.Tensor, order: Sequence[int]) -> tf.Tensor:
    """Reorder the columns of z `[n, d]`; the gradient is the inverse gather, where that of `tf.gather` is a scatter."""
    inverse = inverse_order(order)

    @tf.custom_gradient
    def reorder(z: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.gather(z, order, axis=1), lambda upstream: tf.gather(upstream, inverse, axis=1)

    return reorder(z)
