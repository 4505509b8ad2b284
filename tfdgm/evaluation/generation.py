"""Scores that compare samples of the model with examples of a split."""

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

#: Number of samples for the mode scores: at least, and per mode. As published (Lin et al. 2018): 2,500 for 8 and 25
#: modes, 26,000 for 1,000.
_MODE_SAMPLES, _PER_MODE = 2_500, 26
#: Number of samples for the other scores; of samples larger than 28 x 28, fewer with the same number of values.
_SAMPLES = 10_000
_VALUES = _SAMPLES * 28 * 28
#: Number of samples for exact transport, whose time grows with their cube.
_TRANSPORT_SAMPLES = 1_000
_FEATURES_AT_ONCE = 500


def generation_scores(draws: Draws) -> dict[str, Any]:
    """Score the model's draws x against the examples of a split.

    Args:
      draws: draws over the split; at most 10,000 of its examples, evenly spread, are compared with as many draws of x.
        Moving averages of the weights are used if there are any.

    Returns:
      `modes`, `high_quality`, `reverse_kl` and `mode_samples` if the data defines modes, and `sample_scores`. If some
      draw is not finite, only `generation_samples` and the number of finite draws, `finite_samples`.
    """
    built, source = draws.built, draws.source
    data = built.experiment.data
    modes = data.modes()
    count = min(len(source), _SAMPLES, max(1, _VALUES // data.spec.size))
    mode_samples = max(_MODE_SAMPLES, _PER_MODE * modes.count) if modes is not None else 0
    number = max(count, mode_samples)
    fake = draw(built, number, integer_seed(built.experiment.seed, "generation")).x
    finite = np.isfinite(fake).reshape(number, -1).all(axis=1)
    if not finite.all():
        return {"generation_samples": number, "finite_samples": int(np.sum(finite))}
    scores: dict[str, Any] = {}
    if modes is not None:
        scores |= mode_scores(fake[:mode_samples], modes) | {"mode_samples": mode_samples}
    return scores | sample_scores(examples(draws, count), fake[:count], data.features())


def sample_scores(
    real: np.ndarray, fake: np.ndarray, features: Callable[[np.ndarray], np.ndarray] | None
) -> dict[str, Any]:
    """Score samples against as many examples, both `[n, *shape]`.

    Returns:
      As far as n allows: `precision`, `recall`, `density`, `coverage` and `mmd`, computed from the features, or from x
      if there are none; `frechet_distance`, from the features only; `wasserstein` and `sliced_wasserstein`, always
      from x; `generation_samples`, n, and `wasserstein_samples`. `generation_note` says which scores do not apply for
      another reason, such as equal examples, and which to interpret with care.
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
    """Return the scores that `sample_scores` computes from features `[n, f]`, float64, and notes about them."""
    scores: dict[str, Any] = {}
    notes: list[str] = []
    count, size = real.shape
    for values, whose in ((real, "examples"), (fake, "draws")):
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            notes.append(f"the features of {np.sum(~finite)} of the {whose} are not finite, so no score uses features")
    if notes:
        return scores, notes
    if count > NEIGHBOURS:
        radii = neighbour_radii(real, NEIGHBOURS), neighbour_radii(fake, NEIGHBOURS)
        scores |= ball_scores(real, fake, *radii, NEIGHBOURS)
        notes += radius_notes(*radii, NEIGHBOURS)
    if frechet and count > 1:
        scores["frechet_distance"] = frechet_distance(real, fake)
        if count <= size:
            notes.append(f"frechet_distance is mostly bias: there are {count} samples of {size} features")
    if count > 1:
        if (bandwidth := median_distance(real)) > 0:
            scores["mmd"] = mmd(real, fake, bandwidth)
        else:
            notes.append("at least half of the distances between examples are 0, so mmd does not apply")
    return scores, notes


def examples(draws: Draws, count: int) -> np.ndarray:
    """Return `count` examples x spread evenly over a split, observed in the same way as for the bounds."""
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

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        return self.source.conditions(self.positions[indices])


def _in_blocks(features: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # the caller counts values that are not finite
        blocks = [features(x[start : start + _FEATURES_AT_ONCE]) for start in range(0, len(x), _FEATURES_AT_ONCE)]
    return np.concatenate(blocks).astype(np.float64)
