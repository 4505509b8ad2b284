"""The rate KL(q || p)."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp


def rate(q: Any, p: Any, value: tf.Tensor) -> tf.Tensor:
    """KL(q(z|x) || p(z)) in nats, `[batch]`.

    TFP's registered closed form where there is one, else the single-draw estimate log q(z|x) - log p(z), which is
    unbiased for `value` drawn from q.

    Args:
      q: tfd.Distribution with batch shape `[batch]`.
      p: tfd.Distribution with the same event shape and no batch shape.
      value: draws from q, `[batch, *event]`.
    """
    try:
        return tfp.distributions.kl_divergence(q, p)
    except NotImplementedError:
        return single_draw_rate(q, p, value)


def single_draw_rate(q: Any, p: Any, value: tf.Tensor) -> tf.Tensor:
    """log q(value|x) - log p(value), `[..., batch]`."""
    return q.log_prob(value) - p.log_prob(value)
