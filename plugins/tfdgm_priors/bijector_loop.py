"""A chain of bijectors of one architecture, computed in a loop over their stacked weights."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tfdgm_flows.made import Layers

#: For each bijector, how to reorder the dimensions before it: positions in its predecessor's output.
Orders = Sequence[Sequence[int]]


def by_loop(
    x: tf.Tensor, layers: Layers, orders: Orders, bijector: Callable[[tf.Tensor, Layers], tuple[tf.Tensor, tf.Tensor]]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Map x through one bijector after the other.

    Compile time does not depend on the number of bijectors. For the gradient each bijector keeps only its input,
    `[n, d]`, and recomputes its network. The gradient is written out because XLA cannot compile TensorFlow's own
    gradient of weights that a loop reads, if the step is a function within a larger program.

    Args:
      x: `[n, d]`.
      layers: layers of the networks, stacked along the first axis.
      orders: how to reorder the dimensions before each bijector.
      bijector: maps `[n, d]`, given the layers of one network, to its image and the log-determinant `[n]`.

    Returns:
      the image `[n, d]`, and the sum of the log-determinants `[n]`.
    """
    count = len(orders)
    forth, back = tf.constant(orders), tf.constant([inverse_order(order) for order in orders])

    @tf.custom_gradient
    def chain(x: tf.Tensor, *weights: tf.Tensor) -> Any:
        def step(number: tf.Tensor, x: tf.Tensor, log_det: tf.Tensor, seen: tf.TensorArray) -> tuple[Any, ...]:
            x = tf.gather(x, forth[number], axis=1)
            y, contribution = bijector(x, _paired([tensor[number] for tensor in weights]))
            return number + 1, y, log_det + contribution, seen.write(number, x)

        seen = tf.TensorArray(tf.float32, count, element_shape=x.shape)
        start = (tf.constant(0), x, tf.zeros_like(x[:, 0]), seen)
        _, y, log_det, seen = tf.while_loop(lambda number, *_: number < count, step, start, maximum_iterations=count)
        each_x = seen.stack()

        def gradient(of_y: tf.Tensor, of_log_det: tf.Tensor) -> tuple[tf.Tensor, ...]:
            def step(number: tf.Tensor, of_y: tf.Tensor, *of_weights: tf.TensorArray) -> tuple[Any, ...]:
                inputs = [each_x[number], *(tensor[number] for tensor in weights)]
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    outputs = bijector(inputs[0], _paired(inputs[1:]))
                of_x, *own = tape.gradient(outputs, inputs, [of_y, of_log_det])
                written = (array.write(number, each) for array, each in zip(of_weights, own, strict=True))
                return number - 1, tf.gather(of_x, back[number], axis=1), *written

            arrays = [tf.TensorArray(tf.float32, count, element_shape=tensor.shape[1:]) for tensor in weights]
            start = (tf.constant(count - 1), of_y, *arrays)
            _, of_x, *arrays = tf.while_loop(lambda number, *_: number >= 0, step, start, maximum_iterations=count)
            return of_x, *(array.stack() for array in arrays)

        return (y, log_det), gradient

    return chain(x, *(tensor for layer in layers for tensor in layer))


def inverse_order(order: Sequence[int]) -> list[int]:
    """Return the inverse permutation."""
    return sorted(range(len(order)), key=list(order).__getitem__)


def _paired(weights: Sequence[tf.Tensor]) -> Layers:
    return list(zip(weights[::2], weights[1::2], strict=True))
