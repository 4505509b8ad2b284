"""The rate KL(q || p)."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp


def rate(q: Any, p: Any, value: tf.Tensor, relaxed: tf.Tensor | None = None) -> tf.Tensor:
    """Return KL(q(z|x) || p(z)) in nats, `[batch]`.

    This is TFP's closed form if one is registered, else an unbiased estimate at `value`, a draw from q:
    log q(z|x) - log p(z), or -H(q) - log p(c) for relaxed codes.

    Args:
      q: tfd.Distribution with batch shape `[batch]`.
      p: tfd.Distribution with the same event shape and empty batch shape.
      value: draws from q, `[batch, *event]`.
      relaxed: relaxed codes with gradients, points of the simplex `[batch, *positions, K]`, or None.
    """
    try:
        return tfp.distributions.kl_divergence(q, p)
    except NotImplementedError:
        if relaxed is None:
            return single_draw_rate(q, p, value)
        return -q.entropy() - cross_term(p, value, relaxed)


def single_draw_rate(q: Any, p: Any, value: tf.Tensor) -> tf.Tensor:
    """Return log q(value|x) - log p(value), `[..., batch]`."""
    return q.log_prob(value) - p.log_prob(value)


def cross_term(p: Any, value: tf.Tensor, relaxed: tf.Tensor) -> tf.Tensor:
    """Return log p(c): at the relaxed codes if p is defined there, else at the drawn ones, without a gradient."""
    return p.relaxed_log_prob(relaxed) if hasattr(p, "relaxed_log_prob") else p.log_prob(value)
