"""Scores: numbers that evaluation and validation report about a trained model."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from tfdgm.contracts.component import Component
from tfdgm.contracts.data import Source
from tfdgm.contracts.quantity import Quantity


class PosteriorDraws(Protocol):
    """Draws z ~ q(z|x) for every x of a split, in chunks. The run's seed determines them."""

    def blocks(self, draws: int) -> Iterator[tuple[int, int, Any]]:
        """Yield (number of the chunk, examples that count, block); the blocks of a chunk have `draws` draws in all.

        A block has `value` `[draws, examples, *event]`, and `log_likelihood`, `log_posterior` and `log_prior`
        `[draws, examples]` in nats. The last chunk is padded: only the first examples count.
        """

    def chunks(self) -> Iterator[tuple[int, Any, int]]:
        """Yield (number, x `[examples, *shape]`, examples that count) of every chunk."""

    def over_chunks(self, run: Callable[[Iterable[tuple]], Iterator[Any]]) -> Iterator[tuple[Any, int]]:
        """Yield (result, examples that count) of every chunk.

        `run` is `built.devices.map(function)` for a traced function of (x, place, examples that count);
        `draws.context(place)` is its `Context`.
        """

    def importance_weighted_nll(self, num_samples: int) -> float:
        """Estimate -log p(x) by importance weighting (Burda et al. 2016, equation 8); nats per example."""


class Comparison(Protocol):
    """Samples of the model and as many examples of the split, spread evenly over it.

    Attributes:
      x: all draws x ~ p(x), at least as many as there are examples, `[m, *shape]`, m >= n.
      y: the conditions of all draws, `[m, *condition.shape]`; None in a model without a condition.
      finite: number of these draws that are finite.
      problem: why the draws cannot be compared, such as values that are not finite, or None.
      examples: `[n, *shape]`.
      examples_y: their conditions; None if the data has none.
      generated: the first n of the draws, `[n, *shape]`.
      mode_draws: the first of the draws, 2,500 or 26 for each mode, if the data has modes; else none.
      has_features: whether the data defines features.
      features: (examples, generated) in the data's features, or as flat vectors if it defines none; float64 `[n, f]`.
      feature_problem: why features cannot be compared, or None.
    """

    @property
    def x(self) -> np.ndarray: ...

    @property
    def y(self) -> np.ndarray | None: ...

    @property
    def finite(self) -> int: ...

    @property
    def problem(self) -> str | None: ...

    @property
    def examples(self) -> np.ndarray: ...

    @property
    def examples_y(self) -> np.ndarray | None: ...

    @property
    def generated(self) -> np.ndarray: ...

    @property
    def mode_draws(self) -> np.ndarray: ...

    @property
    def has_features(self) -> bool: ...

    @property
    def features(self) -> tuple[np.ndarray, np.ndarray]: ...

    @property
    def feature_problem(self) -> str | None: ...

    def flat(self, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return (examples, generated) as vectors, float64 `[count, d]`; all n by default."""


class Evaluation(Protocol):
    """What the scores of one evaluation share. Each part is computed when it is first read, and once.

    The weights are those to score: moving averages, if the run has them.

    Attributes:
      built: the experiment with its variables, which a score may read and must not assign.
      split, source: name and rows of the split that is scored.
      num_samples: draws of z per example for importance weighting; 1 if q(z|x) is a point mass.
      draws: draws from q(z|x) over the split.
      surgery: `elbo`, `reconstruction`, `rate`, `mutual_information` and `marginal_kl` by name, nats per example.
      means: E_q(z|x)[z] of every example, `[n, *event]`; None for codes, and if TFP does not implement the mean.
      codes: distributions over codes at every position: `aggregated` `[*positions, K]`, `conditional_entropy`
        `[*positions]`, `used` `[K]`, and `prior` `[*positions, K]` if it is independent over positions.
      comparison: samples of the model and examples of the split.

    All but `comparison` need a posterior, and `codes` a discrete one.
    """

    built: Any
    split: str
    source: Source

    @property
    def num_samples(self) -> int: ...

    @property
    def draws(self) -> PosteriorDraws: ...

    @property
    def surgery(self) -> Mapping[str, float]: ...

    @property
    def means(self) -> np.ndarray | None: ...

    @property
    def codes(self) -> Mapping[str, np.ndarray]: ...

    @property
    def comparison(self) -> Comparison: ...

    def aggregated_log_prob(self, values: np.ndarray) -> np.ndarray:
        """Return log q_agg at `values` `[count, *event]`, q_agg(z) = (1/n) sum_m q(z|x_m) over the split; `[count]`."""

    def one_draw_bound(self) -> dict[str, float]:
        """Return `elbo`, `reconstruction` and `rate` from one draw of z per example, nats per example."""

    def estimates(self) -> dict[str, float]:
        """Return the estimates of all objectives by name; see `Objective.estimates`."""

    def on(self, split: str) -> "Evaluation":
        """Return the evaluation of another split, for scores that fit on one split and test on another.

        Raises:
          UserError: the data has no such split.
        """

    def note(self, text: str) -> None:
        """Add a sentence to the notes that `eval.json` and the table have under the current score's `note_key`."""


class Score(Component):
    """One number about a trained model, or a family of numbers that are computed together.

    Every installed score is computed in every evaluation to which it applies, with its default hyperparameters unless
    `experiment.scores` lists it with others. Its numbers are rows of `eval.json`, of the table of `tfdgm eval`, of the
    run's page and of the tables of studies; with `in_validation` also of `metrics.jsonl` and TensorBoard, with the
    prefix `validation_`. For a test split of n = 300 images with 64 pixels:

        score.obstacle(run)                # None: it applies
        run.comparison.examples            # [300, 64]
        run.comparison.generated           # [300, 64]
        score.compute(run)                 # {"brightness_gap": 0.013}

    Every worker of a run calls it alike, since several workers compute together. A score that raises an exception
    is left out, with a note that names it.

    Attributes:
      rank: order of the rows; those of tfdgm itself have ranks below 1,000.
      in_validation: whether it is computed at each validation as well.
      quantities: the meaning of each number by its key in `eval.json`; no other installed score may have these keys.
      note_key: the key of its notes; None stands for its name and `_note`.
    """

    rank: ClassVar[int] = 1_000
    in_validation: bool = False
    quantities: ClassVar[Mapping[str, Quantity]] = {}
    note_key: ClassVar[str | None] = None

    def meaning(self, key: str, experiment: Any) -> Quantity | None:
        """Return the meaning of a reported key, or None if it must not be reported.

        Overridden by scores whose keys depend on the experiment; by default the entry of `quantities`.
        """
        return self.quantities.get(key)

    def obstacle(self, run: Evaluation) -> str | None:
        """Return why the score does not apply, as in "the model has no posterior", or None if it does."""
        return None

    @abstractmethod
    def compute(self, run: Evaluation) -> Mapping[str, float]:
        """Return the numbers by key: all of `quantities`, or those that are defined for this run."""

    def validate(self, run: Evaluation) -> Mapping[str, float]:
        """Return the numbers at a validation; by default those of `compute`."""
        return self.compute(run)
