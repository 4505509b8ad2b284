"""All applicable scores of a run, in one flat dict."""

import math
from typing import Any

from tfdgm.errors import UserError
from tfdgm.evaluation.active_units import active_units
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.code_scores import aggregated_codes, code_scores
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.evaluation.generation import generation_scores
from tfdgm.evaluation.surgery import elbo_surgery
from tfdgm.runs.experiment import Built

#: Number of draws of z, over the whole split, for the ELBO and its surgery.
_SURGERY_DRAWS = 100_000


def evaluate(built: Built, split: str = "test", num_samples: int = 1_000) -> dict[str, Any]:
    """Score a trained model on one split; nats per example unless `scores.unit` says otherwise.

    Args:
      built: the experiment with its trained weights; moving averages are used if there are any.
      split: "train", "validation" or "test".
      num_samples: draws of z per example for `nll_iwae`.

    Returns:
      Those that apply of: `elbo`, `reconstruction`, `rate`, `mutual_information`, `marginal_kl`, `nll_iwae`,
      `nll_iwae_samples`; for vectors `active_units`; for codes `code_perplexity`, `code_usage`,
      `code_mutual_information`, `code_marginal_kl`, and `code_bits` (-log2 p(c) per code) if q(z|x) is a point mass;
      the objectives' estimates and `generation_scores`. Always `step`, `seed`, `data_split` and `num_examples`, and
      `binarization` if the data describes it.

    Raises:
      UserError: `num_samples` is below 1, or the data has no such split.
    """
    if num_samples < 1:
        raise UserError(f"the number of samples must be at least 1, got {num_samples}")
    splits = built.experiment.splits
    if split not in splits:
        raise UserError(f"the data has no split {split!r}; it has {', '.join(splits)}")
    source = splits[split]
    scores: dict[str, Any] = {}
    draws = Draws(built, source)
    with built.state.averaged():
        if built.model.posterior is not None:
            if built.model.latent.deterministic:
                num_samples = 1  # every further draw is the same
            scores |= elbo_surgery(draws, min(num_samples, max(1, math.ceil(_SURGERY_DRAWS / len(source)))))
            scores["nll_iwae"] = draws.importance_weighted_nll(num_samples)
            scores["nll_iwae_samples"] = num_samples
            if built.model.latent.discrete:
                scores |= code_scores(aggregated_codes(draws))
                if built.model.latent.deterministic:
                    codes = math.prod(built.model.latent.event_shape)
                    scores["code_bits"] = scores["rate"] / (codes * math.log(2))
            elif (units := active_units(draws)) is not None:
                scores["active_units"] = units
        scores |= ObjectiveEstimates(built, source, "evaluation critics")()
    scores |= generation_scores(draws)
    scores |= {
        "step": int(built.state.step.numpy()),
        "seed": built.experiment.seed,
        "data_split": split,
        "num_examples": len(source),
    }
    binarization = built.experiment.data.describe().get(f"binarization_{split}")
    if binarization:
        scores["binarization"] = binarization
    return scores
