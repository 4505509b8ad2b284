"""Samples from the model against examples of a split."""

from typing import Any

from tfdgm.evaluation.modes import mode_scores
from tfdgm.experiment import Built
from tfdgm.randomness import integer_seed
from tfdgm.sampling import draw

#: Samples for the scores of modes, as published (Lin et al. 2018).
_MODE_SAMPLES = 2_500


def generation_scores(built: Built, split: str) -> dict[str, Any]:
    """Scores of samples x ~ p(x|z), z ~ p(z) as far as they apply to the data, with the numbers of samples.

    Args:
      built: the experiment with its trained weights; moving averages are used where there are any.
      split: whose examples the samples are compared with.

    Returns:
      `modes`, `high_quality`, `reverse_kl` and `mode_samples` where the data knows its modes.
    """
    scores: dict[str, Any] = {}
    modes = built.experiment.data.modes()
    if modes is not None:
        x = draw(built, _MODE_SAMPLES, integer_seed(built.experiment.seed, "generation")).x
        scores |= mode_scores(x, modes) | {"mode_samples": len(x)}
    return scores
