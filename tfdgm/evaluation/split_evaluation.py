"""What the scores of one split share."""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from tfdgm.contracts.data import Source, evenly
from tfdgm.errors import UserError
from tfdgm.evaluation.aggregated import AggregatedPosterior
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.chosen import examples
from tfdgm.evaluation.code_distributions import aggregated_codes
from tfdgm.evaluation.comparison import SampleComparison, number_of_examples, number_of_mode_samples
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.evaluation.one_draw import OneDrawBound
from tfdgm.evaluation.posterior_means import posterior_means
from tfdgm.evaluation.scoring_progress import ScoringProgress
from tfdgm.evaluation.surgery import elbo_surgery
from tfdgm.numerics.randomness import integer_seed
from tfdgm.runs.experiment import Built
from tfdgm.system.signals import Stopped
from tfdgm.trained.sampling import Sampler

#: Number of draws of z, over the whole split, for the ELBO and its surgery.
_SURGERY_DRAWS = 100_000


class SplitEvaluation:
    """The shared quantities of one split, each computed when it is first read; see `tfdgm.contracts.score.Evaluation`.

    Programs are compiled once; `refresh` discards the results, so that the next ones are of the current weights.

    Args:
      built: the experiment with its trained weights.
      split: "train", "validation" or "test".
      num_samples: draws of z per example for importance weighting.
      purpose: of the noise of the objectives' estimates.

    Attributes:
      progress: is told how far the scores are; None for no one.

    Raises:
      UserError: `num_samples` is below 1, or the data has no such split.
    """

    def __init__(self, built: Built, split: str, num_samples: int = 1_000, purpose: str = "evaluation critics") -> None:
        if num_samples < 1:
            raise UserError(f"the number of samples must be at least 1, got {num_samples}")
        splits = built.experiment.splits
        if split not in splits:
            raise UserError(f"the data has no split {split!r}; it has {', '.join(splits)}")
        self.built = built
        self.split = split
        self.source: Source = splits[split]
        self.notes: dict[str, list[str]] = {}
        self.note_key = "note"
        self.progress: ScoringProgress | None = None
        self.stopped: Stopped | None = None  # by a signal, which ends the evaluation early
        self._samples_per_example = num_samples
        self._purpose = purpose
        self._results: dict[str, Any] = {}
        self._others: dict[str, SplitEvaluation] = {}

    def refresh(self) -> None:
        """Discard the results and notes; call it when the weights have changed."""
        self._results.clear()
        self.notes.clear()
        for other in self._others.values():
            other.refresh()

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        if name not in self._results:
            self._results[name] = compute()
        return self._results[name]

    @property
    def num_samples(self) -> int:
        deterministic = self.built.model.posterior is not None and self.built.model.latent.deterministic
        return 1 if deterministic else self._samples_per_example  # every further draw is the same

    @cached_property
    def draws(self) -> Draws:
        draws = Draws(self.built, self.source)
        draws.tell = self._tell
        return draws

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress.advance(done, total)

    @property
    def surgery(self) -> dict[str, float]:
        draws = min(self.num_samples, max(1, math.ceil(_SURGERY_DRAWS / len(self.source))))
        return self._once("surgery", lambda: elbo_surgery(self.draws, draws, self._mixture))

    @cached_property
    def _mixture(self) -> AggregatedPosterior:
        return AggregatedPosterior(self.draws)

    def aggregated_log_prob(self, values: np.ndarray) -> np.ndarray:
        self._once("the mixture's parameters", self._mixture.refresh)
        return self._mixture.log_prob(values)

    @property
    def means(self) -> np.ndarray | None:
        return self._once("means", lambda: posterior_means(self.draws))

    @property
    def codes(self) -> dict[str, np.ndarray]:
        return self._once("codes", lambda: aggregated_codes(self.draws))

    @property
    def computed_codes(self) -> dict[str, np.ndarray]:
        """The result of `codes` if some score has read it; else nothing."""
        return self._results.get("codes", {})

    @property
    def comparison(self) -> SampleComparison:
        return self._once("comparison", self._compare)

    def _compare(self) -> SampleComparison:
        data, seed = self.built.experiment.data, integer_seed(self.built.experiment.seed, "generation")
        count = self._num_examples

        def draw() -> tuple[np.ndarray, np.ndarray | None]:
            samples = self._sampler(seed)
            return samples.x, samples.y

        labelled = data.spec.condition is not None
        return SampleComparison(
            draw=draw,
            observe=lambda: examples(self.draws, count),
            count=count,
            features=data.features(),
            mode_samples=self._num_mode_samples,
            examples_y=self.source.conditions(evenly(len(self.source), count)) if labelled else None,
        )

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.built, max(self._num_examples, self._num_mode_samples))

    @property
    def _num_examples(self) -> int:
        return number_of_examples(self.source, self.built.experiment.data.spec.size)

    @cached_property
    def _num_mode_samples(self) -> int:
        modes = self.built.experiment.data.modes()
        return 0 if modes is None else number_of_mode_samples(modes.count)

    @cached_property
    def one_draw_bound(self) -> OneDrawBound:
        return OneDrawBound(self.built, self.source)

    @cached_property
    def estimates(self) -> ObjectiveEstimates:
        return ObjectiveEstimates(self.built, self.source, self._purpose)

    def on(self, split: str) -> "SplitEvaluation":
        if split == self.split:
            return self
        if split not in self._others:
            other = SplitEvaluation(self.built, split, self._samples_per_example, self._purpose)
            other.draws = self.draws.over(other.source)  # in chunks of the same size, so that programs are shared
            other.draws.tell = self._tell
            self._others[split] = other
        return self._others[split]

    def note(self, text: str) -> None:
        notes = self.notes.setdefault(self.note_key, [])
        if text not in notes:
            notes.append(text)
