"""The rate KL(q || p)."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfdgm.model.code_densities import code_log_probabilities, independent_over_positions


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


def single_draw_rate(q: Any, p: Any, value: tf.Tensor, relaxed: tf.Tensor | None = None) -> tf.Tensor:
    """Return log q(value|x) - log p(value) in nats, `[..., batch]`; for relaxed codes, both terms at these.

    Args:
      q, p, value, relaxed: as in `rate`.
    """
    if relaxed is None:
        return q.log_prob(value) - p.log_prob(value)
    return cross_term(q, value, relaxed) - cross_term(p, value, relaxed)


def cross_term(p: Any, value: tf.Tensor, relaxed: tf.Tensor) -> tf.Tensor:
    """Return log p(c): at the relaxed codes y if p extends to them, else at the drawn ones, without a gradient.

    The extension is `p.relaxed_log_prob(y)`, or sum_ik y_ik log p(c_i = k) if p is independent over the positions.
    """
    if hasattr(p, "relaxed_log_prob"):
        return p.relaxed_log_prob(relaxed)
    if independent_over_positions(p):
        chosen = relaxed * code_log_probabilities(p, relaxed.shape[-1])
        return tf.reduce_sum(chosen, axis=[-1 - axis for axis in range(p.event_shape.rank + 1)])
    return p.log_prob(value)
