"""Scores of a discrete latent: exact sums over the codes at every position."""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from scipy.special import xlogy

from tfdgm import Evaluation, Quantity, Score


class Codes(Score):
    """How many codes are used, and what the codes at single positions tell about x.

    q_agg(c_i) is the mean of q(c_i|x) over the split, at position i.
    """

    rank = 30
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "code_perplexity": Quantity(
            "codes", "exp H(mean of q_agg(c_i) over i), at most K; the mean H of several codebooks"
        ),
        "code_usage": Quantity(
            "share of the codes",
            "codes that occur anywhere in one draw from each q(c|x), over all codes",
            "larger",
            main=True,
        ),
        "code_mutual_information": Quantity("nats per example", "sum_i H(q_agg(c_i)) - E[H(q(c_i|x))]"),
        "code_marginal_kl": Quantity(
            "nats per example", "sum_i KL(q_agg(c_i) || p(c_i)), for a prior that is independent over positions"
        ),
        "code_bits": Quantity("bits per code", "-log2 p(c) / number of codes, if q(c|x) is a point mass"),
    }

    def obstacle(self, run: Evaluation) -> str | None:
        return None if run.built.model.latent.discrete else "the latent is not discrete"

    def compute(self, run: Evaluation) -> dict[str, float]:
        scores = code_scores(run.codes)
        latent = run.built.model.latent
        if latent.deterministic:
            scores["code_bits"] = run.surgery["rate"] / (math.prod(latent.event_shape) * math.log(2))
        return scores


def code_scores(codes: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Compute the scores but `code_bits` from `Evaluation.codes`.

    `code_marginal_kl` is absent without `prior`.
    """
    aggregated = codes["aggregated"]
    pooled = aggregated.reshape(-1, *codes["used"].shape).mean(axis=0)
    entropies = -np.sum(xlogy(pooled, pooled), axis=-1)
    scores = {
        "code_perplexity": float(np.exp(np.mean(entropies))),
        "code_usage": float(np.mean(codes["used"])),
        "code_mutual_information": float(-np.sum(xlogy(aggregated, aggregated)) - np.sum(codes["conditional_entropy"])),
    }
    if "prior" in codes:
        divergence = xlogy(aggregated, aggregated) - xlogy(aggregated, codes["prior"])
        scores["code_marginal_kl"] = float(np.sum(divergence))
    return scores
