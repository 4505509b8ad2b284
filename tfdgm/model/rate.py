"""The rate KL(q || p)."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp


def rate(q: Any, p: Any, value: tf.Tensor, relaxed: tf.Tensor | None = None) -> tf.Tensor:
    """KL(q(z|x) || p(z)) in nats, `[batch]`.

    TFP's registered closed form where there is one, else an estimate that is unbiased for `value` drawn from q: the
    single draw's log q(z|x) - log p(z), and for relaxed codes -H(q) - log p(c).

    Args:
      q: tfd.Distribution with batch shape `[batch]`.
      p: tfd.Distribution with the same event shape and no batch shape.
      value: draws from q, `[batch, *event]`.
      relaxed: for codes, what gradients go through: points of the simplex `[batch, *positions, K]`.
    """
    try:
        return tfp.distributions.kl_divergence(q, p)
    except NotImplementedError:
        if relaxed is None:
            return single_draw_rate(q, p, value)
        return -q.entropy() - cross_term(p, value, relaxed)


def single_draw_rate(q: Any, p: Any, value: tf.Tensor) -> tf.Tensor:
    """log q(value|x) - log p(value), `[..., batch]`."""
    return q.log_prob(value) - p.log_prob(value)


def cross_term(p: Any, value: tf.Tensor, relaxed: tf.Tensor) -> tf.Tensor:
    """log p(c): at the relaxed codes where p is defined there, else at the drawn ones, which no gradient passes."""
    return p.relaxed_log_prob(relaxed) if hasattr(p, "relaxed_log_prob") else p.log_prob(value)
