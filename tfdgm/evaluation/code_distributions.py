"""Distributions over the codes of a discrete latent at every position, by exact sums.

With L codes per position, from codebooks of their own, L is the last axis of the positions, and tables over the codes
are `[L, K]` in place of `[K]`.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.evaluation.bounds import Draws, Place
from tfdgm.model.code_densities import code_log_probabilities, independent_over_positions


def aggregated_codes(draws: Draws) -> dict[str, np.ndarray]:
    """Compute the distributions over codes at every position.

    Returns:
      `aggregated`: q_agg(c_i = k) = (1/n) sum_m q(c_i = k|x_m), `[*positions, K]`.
      `conditional_entropy`: (1/n) sum_m H(q(c_i|x_m)), nats, `[*positions]`.
      `used`: whether code k occurs at any position in one draw from each q(c|x_m), bool, of the codebook's shape `[K]`
        or `[L, K]`.
      `prior`: p(c_i = k), `[*positions, K]`; only if the prior is independent over positions.
    """
    model, categories = draws.built.model, draws.built.model.latent.categories
    assert model.posterior is not None and categories is not None
    tables = model.posterior.codebook().shape[:-1]

    def chunk(x: tf.Tensor, place: Place, kept: tf.Tensor) -> tuple[tf.Tensor, ...]:
        context = model.with_inference(draws.context(place))
        posterior = model.infer(x, context)
        log_probabilities = code_log_probabilities(posterior, categories)
        probabilities = tf.exp(log_probabilities)
        entropy = -tf.reduce_sum(probabilities * log_probabilities, axis=-1)
        drawn = tf.one_hot(posterior.sample(seed=context.seed_for("used")), categories)
        weights = tf.cast(tf.range(x.shape[0]) < kept, tf.float32)
        return tuple(tf.tensordot(weights, values, axes=1) for values in (probabilities, entropy, drawn))

    totals: list[Any] = [0.0, 0.0, 0.0]
    for parts, _ in draws.over_chunks(draws.built.devices.map(chunk)):
        totals = [total + part.numpy().astype(np.float64) for total, part in zip(totals, parts, strict=True)]
    aggregated, entropy, drawn = totals
    found = {
        "aggregated": aggregated / len(draws.source),
        "conditional_entropy": entropy / len(draws.source),
        "used": drawn.reshape(-1, *tables).sum(axis=0) > 0,
    }
    prior = model.prior_distribution(model.with_inference(draws.context(draws.place(0, size=1))))
    if independent_over_positions(prior) and not prior.batch_shape.rank:
        found["prior"] = np.exp(code_log_probabilities(prior, categories).numpy().astype(np.float64))
    return found
