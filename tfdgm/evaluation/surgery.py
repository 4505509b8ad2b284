"""ELBO surgery: reconstruction - mutual information - marginal KL (Hoffman and Johnson 2016).

    ELBO = E log p(x|z) - [ E log q(z|x) - log q_agg(z) ] - [ E log q_agg(z) - log p(z) ]

with q_agg(z) = (1/n) sum_m q(z|x_m) over the split. The first bracket is the mutual information between the index of
the example and z, at most log n; the second is the KL from the aggregated posterior to the prior. Together they are the
rate.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfdgm.codes import code_log_probabilities, mixture_densities
from tfdgm.evaluation.bounds import Draws

_DENSITIES_AT_ONCE = 1 << 25


def elbo_surgery(draws: Draws, per_example: int, mixture: "AggregatedPosterior | None" = None) -> dict[str, float]:
    """The terms, all from the same draws, nats per example.

    Args:
      draws: over the split.
      per_example: draws of z per example.
      mixture: q_agg over the same draws; one that is given again, after the weights changed, is not compiled again.

    Returns:
      `elbo`, `reconstruction`, `rate`, `mutual_information`, `marginal_kl`; `rate` is their exact sum.

    Raises:
      ArithmeticError: rate and mutual information + marginal KL differ by more than rounding.
    """
    mixture = mixture or AggregatedPosterior(draws)
    sums = np.zeros(4)
    for _, count, block in draws.blocks(per_example):
        kept = [array[:, :count] for array in (block.value, block.log_posterior, block.log_prior)]
        value, log_posterior, log_prior = kept
        log_mixture = mixture.log_prob(value.reshape(-1, *value.shape[2:])).reshape(log_posterior.shape)
        terms = (
            block.log_likelihood[:, :count],
            log_posterior.astype(np.float64) - log_prior,
            log_posterior - log_mixture,
            log_mixture - log_prior,
        )
        sums += [np.sum(term, dtype=np.float64) for term in terms]
    reconstruction, rate, information, marginal = sums / (per_example * len(draws.source))
    if not np.isclose(rate, information + marginal, rtol=1e-5, atol=1e-5):
        raise ArithmeticError(f"rate {rate} is not mutual information {information} + marginal KL {marginal}")
    return {
        "elbo": float(reconstruction - rate),
        "reconstruction": float(reconstruction),
        "rate": float(rate),
        "mutual_information": float(information),
        "marginal_kl": float(marginal),
    }


class AggregatedPosterior:
    """q_agg(z) = (1/n) sum_m q(z|x_m) over a split, for any posterior that TFP can evaluate."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self._densities = draws.built.devices.each(self._chunk_densities)

    def log_prob(self, values: np.ndarray) -> np.ndarray:
        """log q_agg at `values` `[count, *event]`, float64 `[count]`."""
        size = max(1, int(np.prod(values.shape[1:])))
        at_once = max(1, min(len(values), _DENSITIES_AT_ONCE // (self.draws.chunk * size)))
        padded = np.resize(values, (-(-len(values) // at_once) * at_once, *values.shape[1:]))
        total = np.full(len(padded), -np.inf)
        pieces = [slice(start, start + at_once) for start in range(0, len(padded), at_once)]

        def calls() -> Iterator[tuple]:
            for number, x, count in self.draws.chunks():
                mask = tf.constant(np.where(np.arange(self.draws.chunk) < count, 0.0, -np.inf), tf.float32)
                for piece in pieces:
                    yield tf.constant(padded[piece]), x, tf.constant(number), mask

        for piece, densities in zip(itertools.cycle(pieces), self._densities(calls()), strict=False):
            total[piece] = np.logaddexp(total[piece], densities.numpy())
        return total[: len(values)] - np.log(len(self.draws.source))

    def _chunk_densities(self, values: tf.Tensor, x: tf.Tensor, number: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """log of the sum over one chunk of components, `[count]`."""
        posterior = self.draws.built.model.infer(x, self.draws.context(number))
        categories = self.draws.built.model.latent.categories
        if categories is None:
            densities = posterior.log_prob(values[:, None])
        else:
            densities = mixture_densities(tf.one_hot(values, categories), code_log_probabilities(posterior, categories))
        return tf.reduce_logsumexp(densities + mask, axis=-1)
