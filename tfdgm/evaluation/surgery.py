"""ELBO surgery: reconstruction - mutual information - marginal KL (Hoffman and Johnson 2016).

    ELBO = E log p(x|z) - [ E log q(z|x) - log q_agg(z) ] - [ E log q_agg(z) - log p(z) ]

with q_agg(z) = (1/n) sum_m q(z|x_m) over the split. The first bracket is the mutual information between the index of
the example and z, at most log n; the second is KL(q_agg || p), the marginal KL. Their sum is the rate. In a model with
labels y, q_agg(z|y) is the mean over the examples of that label, and both terms are means over the labels: the mutual
information given y, and the mean of KL(q_agg(z|y) || p(z|y)).
"""

import numpy as np

from tfdgm.evaluation.aggregated import AggregatedPosterior
from tfdgm.evaluation.bounds import Draws


def elbo_surgery(draws: Draws, per_example: int, mixture: AggregatedPosterior | None = None) -> dict[str, float]:
    """Estimate all terms from the same draws, nats per example.

    Args:
      draws: draws over the split.
      per_example: number of draws of z per example.
      mixture: q_agg over the same draws; passing it again, after the weights have changed, avoids recompilation.

    Returns:
      `elbo`, `reconstruction`, `rate`, `mutual_information`, `marginal_kl`; `rate` is the exact sum of the last two.
      If a draw is outside the prior's support, `rate` and `marginal_kl` are infinite and `elbo` is -infinity.

    Raises:
      ArithmeticError: rate and mutual information + marginal KL differ by more than rounding errors.
    """
    mixture = mixture or AggregatedPosterior(draws)
    mixture.refresh()
    sums = np.zeros(4)
    for number, count, block in draws.blocks(per_example):
        kept = [array[:, :count] for array in (block.value, block.log_posterior, block.log_prior)]
        value, log_posterior, log_prior = kept
        labels = draws.labels(number, count)
        of_draws = None if labels is None else np.tile(labels, len(value))
        log_mixture = mixture.log_prob(value.reshape(-1, *value.shape[2:]), of_draws).reshape(log_posterior.shape)
        terms = (
            block.log_likelihood[:, :count],
            log_posterior.astype(np.float64) - log_prior,
            log_posterior - log_mixture,
            log_mixture - log_prior,
        )
        sums += [np.sum(term, dtype=np.float64) for term in terms]
    reconstruction, rate, information, marginal = sums / (per_example * len(draws.source))
    # sums with infinities or NaN need not agree
    if np.isfinite(rate) and not np.isclose(rate, information + marginal, rtol=1e-5, atol=1e-5):
        raise ArithmeticError(f"rate {rate} differs from mutual information {information} + marginal KL {marginal}")
    return {
        "elbo": float(reconstruction - rate),
        "reconstruction": float(reconstruction),
        "rate": float(rate),
        "mutual_information": float(information),
        "marginal_kl": float(marginal),
    }
