"""A masked autoregressive flow in its fast direction, z -> u: one pass through each network."""

from collections.abc import Callable, Sequence

import tensorflow as tf
from tfdgm_flows.made import Architecture, Layers

from tfdgm_priors.bijector_loop import Orders, by_loop, inverse_order


def to_noise(
    z: tf.Tensor, networks: Sequence[Layers], orders: Orders, architecture: Architecture
) -> tuple[tf.Tensor, tf.Tensor]:
    """Map z to u through one bijector after the other (Papamakarios et al. 2017, equation 4).

    Args:
      z: `[n, d]`.
      networks: the layers of each bijector's network.
      orders: the positions of each bijector's z in the u of the previous one; the identity for the first.
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

    See `by_loop`.
    """
    return by_loop(z, layers, orders, lambda z, layers: _inverted(z, layers, architecture))


def _inverted(z: tf.Tensor, layers: Layers, architecture: Architecture) -> tuple[tf.Tensor, tf.Tensor]:
    """Return u_i = (z_i - m_i) exp(-a_i) and log |det du/dz| = -sum_i a_i."""
    shift, log_scale = architecture(z, layers)
    return (z - shift) * tf.exp(-log_scale), -tf.reduce_sum(log_scale, axis=-1)


def reordered(z: tf.Tensor, order: Sequence[int]) -> tf.Tensor:
    """Reorder the columns of z `[n, d]`; the gradient is the inverse gather, where that of `tf.gather` is a scatter."""
    inverse = inverse_order(order)

    @tf.custom_gradient
    def reorder(z: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.gather(z, order, axis=1), lambda upstream: tf.gather(upstream, inverse, axis=1)

    return reorder(z)
