"""One step of an inverse autoregressive flow, in its fast direction and back."""

from typing import Any

import tensorflow as tf
from tfdgm_flows.made import Architecture, Layers

#: Logit of a gate whose network returns 0, so that a step starts near the identity (Kingma et al. 2016, section 4).
_FIRST_LOGIT = 2.0


def step(y: tf.Tensor, context: tf.Tensor, layers: Layers, architecture: Architecture) -> tuple[tf.Tensor, tf.Tensor]:
    """Return z = s y + (1 - s) m with s = sigmoid(2 + a) (Kingma et al. 2016, equations 13 and 14).

    Args:
      y: `[n, d]`.
      context: what h adds to the first hidden layer, `[n, hidden]`.
      layers: layers of the masked network that returns m and a, so that m_i and s_i depend on y_1..y_(i-1) and h.
      architecture: architecture of the network.

    Returns:
      z `[n, d]`, and log |det dz/dy| = sum_i log s_i `[n]`.
    """
    shift, logit = _shift_and_logit(y, context, layers, architecture)
    return y + tf.sigmoid(-logit) * (shift - y), tf.reduce_sum(tf.math.log_sigmoid(logit), axis=-1)


def inverse_step(z: tf.Tensor, context: tf.Tensor, layers: Layers, architecture: Architecture) -> tf.Tensor:
    """Return the y that `step` maps to z, `[n, d]`.

    The map y <- (z - (1 - s(y)) m(y)) / s(y) leaves y_1..y_k exact after k passes, so d passes suffice. For the
    gradient v of z, J^T v = g has to be solved, for the triangular Jacobian J of `step` with diagonal s and the
    gradient g of y; v <- v + (g - J^T v) / s does so in d passes in the same way, from the last dimension on.
    """
    passes = architecture.size

    @tf.custom_gradient
    def invert(z: tf.Tensor, context: tf.Tensor, *weights: tf.Tensor) -> Any:
        layers = list(zip(weights[::2], weights[1::2], strict=True))

        def closer(number: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            shift, logit = _shift_and_logit(y, context, layers, architecture)
            return number + 1, shift + (z - shift) / tf.sigmoid(logit)

        _, y = tf.while_loop(lambda number, _: number < passes, closer, (0, z), maximum_iterations=passes)

        def gradient(of_y: tf.Tensor) -> tuple[tf.Tensor, ...]:
            gate = tf.sigmoid(_shift_and_logit(y, context, layers, architecture)[1])

            def closer(number: tf.Tensor, v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                with tf.GradientTape() as tape:
                    tape.watch(y)
                    image, _ = step(y, context, layers, architecture)
                return number + 1, v + (of_y - tape.gradient(image, y, v)) / gate

            start = (0, tf.zeros_like(of_y))
            _, v = tf.while_loop(lambda number, _: number < passes, closer, start, maximum_iterations=passes)
            inputs = [context, *weights]
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                image, _ = step(y, context, layers, architecture)
            return v, *tape.gradient(image, inputs, -v, unconnected_gradients="zero")

        return y, gradient

    return invert(z, context, *(tensor for layer in layers for tensor in layer))


def _shift_and_logit(
    y: tf.Tensor, context: tf.Tensor, layers: Layers, architecture: Architecture
) -> tuple[tf.Tensor, tf.Tensor]:
    shift, bounded = architecture(y, layers, context)
    return shift, _FIRST_LOGIT + bounded
