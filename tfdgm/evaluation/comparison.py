"""Samples of the model beside examples of a split."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from tfdgm.contracts.data import Source, evenly

#: Number of samples; of samples larger than 28 x 28, fewer with the same number of values.
_SAMPLES = 10_000
_VALUES = _SAMPLES * 28 * 28
_FEATURES_AT_ONCE = 500
#: Number of samples if the data has modes: at least, and per mode. As published (Lin et al. 2018): 2,500 for 8 and 25
#: modes, 26,000 for 1,000.
_MODE_SAMPLES, _PER_MODE = 2_500, 26


def number_of_examples(source: Source, size: int) -> int:
    """Return how many examples of `size` values each are compared with as many samples."""
    return min(len(source), _SAMPLES, max(1, _VALUES // size))


def number_of_mode_samples(modes: int) -> int:
    """Return how many samples are assigned to `modes` modes."""
    return max(_MODE_SAMPLES, _PER_MODE * modes)


class SampleComparison:
    """Samples and examples, and what scores derive from them; see `tfdgm.contracts.score.Comparison`.

    Args:
      draw: draws all samples of the model: x `[m, *shape]`, and their conditions, if it has any.
      observe: returns the n <= m examples, `[n, *shape]`.
      count: n.
      features: from x `[n, *shape]` to features `[n, f]`; None to compare x itself.
      mode_samples: number of the samples that are assigned to modes, at most m.
      examples_y: the conditions of the examples, if the data has any.
    """

    def __init__(
        self,
        draw: Callable[[], tuple[np.ndarray, np.ndarray | None]],
        observe: Callable[[], np.ndarray],
        count: int,
        features: Callable[[np.ndarray], np.ndarray] | None,
        mode_samples: int = 0,
        examples_y: np.ndarray | None = None,
    ) -> None:
        self._draw = draw
        self._observe = observe
        self._count = count
        self._features = features
        self._mode_samples = mode_samples
        self.examples_y = examples_y

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray | None]:
        return self._draw()

    @property
    def x(self) -> np.ndarray:
        return self._drawn[0]

    @property
    def y(self) -> np.ndarray | None:
        return self._drawn[1]

    @cached_property
    def finite(self) -> int:
        return int(np.sum(np.isfinite(self.x).reshape(len(self.x), -1).all(axis=1)))

    @property
    def problem(self) -> str | None:
        return None if self.finite == len(self.x) else f"{len(self.x) - self.finite} of the draws are not finite"

    @cached_property
    def examples(self) -> np.ndarray:
        return self._observe()

    @property
    def generated(self) -> np.ndarray:
        return self.x[: self._count]

    @property
    def mode_draws(self) -> np.ndarray:
        return self.x[: self._mode_samples]

    @property
    def has_features(self) -> bool:
        return self._features is not None

    def flat(self, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        examples, generated = self._vectors
        if count is None or count >= self._count:
            return examples, generated
        return examples[evenly(self._count, count)], generated[:count]

    @cached_property
    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        examples, generated = (x.reshape(len(x), -1).astype(np.float64) for x in (self.examples, self.generated))
        return examples, generated

    @cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        if self._features is None:
            return self._vectors
        return in_blocks(self._features, self.examples), in_blocks(self._features, self.generated)

    @cached_property
    def feature_problem(self) -> str | None:
        problems = []
        for values, whose in zip(self.features, ("examples", "draws"), strict=True):
            finite = np.isfinite(values).all(axis=1)
            if not finite.all():
                count = np.sum(~finite)
                problems.append(f"the features of {count} of the {whose} are not finite, so no score uses features")
        return "; ".join(problems) or None


def in_blocks(features: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return the features of x in float64, computed for 500 samples at a time."""
    with np.errstate(over="ignore", invalid="ignore"):  # the caller counts values that are not finite
        blocks = [features(x[start : start + _FEATURES_AT_ONCE]) for start in range(0, len(x), _FEATURES_AT_ONCE)]
    return np.concatenate(blocks).astype(np.float64)
