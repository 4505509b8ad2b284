"""Samples from the model against examples of a split: which scores apply, in what space, from how many."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfdgm.contracts.data import Source, evenly
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.frechet import frechet_distance
from tfdgm.evaluation.mmd import median_distance, mmd
from tfdgm.evaluation.modes import mode_scores
from tfdgm.evaluation.precision_recall import NEIGHBOURS, ball_scores, neighbour_radii, radius_notes
from tfdgm.evaluation.transport import sliced_wasserstein, wasserstein
from tfdgm.numerics.randomness import integer_seed
from tfdgm.trained.sampling import draw

#: Samples for the scores of modes, at least so many and so many for each mode, as published (Lin et al. 2018): 2,500
#: for 8 and 25 modes, 26,000 for 1,000.
_MODE_SAMPLES, _PER_MODE = 2_500, 26
#: Samples for the rest, where they are not larger than 28 x 28 pixels: as many values are compared of larger ones.
_SAMPLES = 10_000
_VALUES = _SAMPLES * 28 * 28
#: Samples for the exact transport, whose time grows with their cube.
_TRANSPORT_SAMPLES = 1_000
_FEATURES_AT_ONCE = 500


def generation_scores(draws: Draws) -> dict[str, Any]:
    """Scores of the model's draws x as far as they apply to the data, with the numbers of draws.

    Args:
      draws: over the split whose examples the model's draws are compared with; at most 10,000 examples, evenly spread,
        and as many draws. Moving averages of the weights are used where there are any.

    Returns:
      `modes`, `high_quality`, `reverse_kl` and `mode_samples` where the data knows its modes, and what
      `sample_scores` has. Where a draw is not finite there is only the number of those that are, `finite_samples`.
    """
    built, source = draws.built, draws.source
    data = built.experiment.data
    modes = data.modes()
    count = min(len(source), _SAMPLES, max(1, _VALUES // data.spec.size))
    judged = max(_MODE_SAMPLES, _PER_MODE * modes.count) if modes is not None else 0
    number = max(count, judged)
    fake = draw(built, number, integer_seed(built.experiment.seed, "generation")).x
    finite = np.isfinite(fake).reshape(number, -1).all(axis=1)
    if not finite.all():
        return {"generation_samples": number, "finite_samples": int(np.sum(finite))}
    scores: dict[str, Any] = {}
    if modes is not None:
        scores |= mode_scores(fake[:judged], modes) | {"mode_samples": judged}
    return scores | sample_scores(examples(draws, count), fake[:count], data.features())


def sample_scores(
    real: np.ndarray, fake: np.ndarray, features: Callable[[np.ndarray], np.ndarray] | None
) -> dict[str, Any]:
    """Scores of samples against as many examples, both `[n, *shape]`.

    Returns:
      As far as n allows: `precision`, `recall`, `density`, `coverage` and `mmd` in the features, or in x where there
      are none; `frechet_distance` in the features only; `wasserstein` and `sliced_wasserstein` always in x; and
      `generation_samples` n, `wasserstein_samples`. `generation_note` says which scores do not apply for another
      reason, such as examples that are all equal, and which need care.
    """
    flat_real, flat_fake = (x.reshape(len(x), -1).astype(np.float64) for x in (real, fake))
    if features is None:
        scores, notes = feature_scores(flat_real, flat_fake)
    else:
        scores, notes = feature_scores(_in_blocks(features, real), _in_blocks(features, fake), frechet=True)
    few = min(len(real), _TRANSPORT_SAMPLES)
    try:
        scores["wasserstein"] = wasserstein(flat_real[evenly(len(real), few)], flat_fake[:few])
        scores["wasserstein_samples"] = few
    except ArithmeticError as error:
        notes.append(f"wasserstein does not apply: {error}")
    scores["sliced_wasserstein"] = sliced_wasserstein(flat_real, flat_fake)
    scores["generation_samples"] = len(fake)
    return scores | ({"generation_note": "; ".join(notes)} if notes else {})


def feature_scores(real: np.ndarray, fake: np.ndarray, frechet: bool = False) -> tuple[dict[str, Any], list[str]]:
    """What `sample_scores` computes from features `[n, f]`, float64, and what is to be told of it."""
    scores: dict[str, Any] = {}
    notes: list[str] = []
    count, size = real.shape
    for values, whose in ((real, "examples"), (fake, "draws")):
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            notes.append(f"the features of {np.sum(~finite)} of the {whose} are not finite, so that no score uses any")
    if notes:
        return scores, notes
    if count > NEIGHBOURS:
        radii = neighbour_radii(real, NEIGHBOURS), neighbour_radii(fake, NEIGHBOURS)
        scores |= ball_scores(real, fake, *radii, NEIGHBOURS)
        notes += radius_notes(*radii, NEIGHBOURS)
    if frechet and count > 1:
        scores["frechet_distance"] = frechet_distance(real, fake)
        if count <= size:
            notes.append(f"the bias of frechet_distance is most of it: {count} samples have {size} features")
    if count > 1:
        if (bandwidth := median_distance(real)) > 0:
            scores["mmd"] = mmd(real, fake, bandwidth)
        else:
            notes.append("at least half of the distances between examples are 0, so that mmd does not apply")
    return scores, notes


def examples(draws: Draws, count: int) -> np.ndarray:
    """`count` examples x spread evenly over a split, observed as the bounds observe them."""
    chosen = Chosen(draws.source, evenly(len(draws.source), count))
    return np.concatenate([x.numpy()[:kept] for _, x, kept in draws.over(chosen).chunks()])


class Chosen(Source):
    """The rows of another source at given positions."""

    def __init__(self, source: Source, positions: np.ndarray) -> None:
        self.source = source
        self.positions = positions
        self.shape = source.shape
        self.dtype = source.dtype

    def __len__(self) -> int:
        return len(self.positions)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return self.source.gather(self.positions[indices])


def _in_blocks(features: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is counted
        blocks = [features(x[start : start + _FEATURES_AT_ONCE]) for start in range(0, len(x), _FEATURES_AT_ONCE)]
    return np.concatenate(blocks).astype(np.float64)
