"""The base of scores that compare features of samples and examples."""

from abc import abstractmethod
from collections.abc import Callable, Mapping

import numpy as np

from tfdgm import Evaluation, Score


class FeatureScore(Score):
    """Compares samples and examples in the data's features, or in x if it defines none.

    Attributes:
      more_than: the number of examples that there must be more of.
    """

    note_key = "generation_note"
    more_than: int = 1

    def obstacle(self, run: Evaluation) -> str | None:
        if run.comparison.problem is None and len(run.comparison.examples) <= self.more_than:
            return f"it needs more than {self.more_than} example(s)"
        return run.comparison.problem

    def compute(self, run: Evaluation) -> Mapping[str, float]:
        if run.comparison.feature_problem is not None:
            run.note(run.comparison.feature_problem)
            return {}
        real, fake = run.comparison.features
        return self.compare(real, fake, run.note)

    @abstractmethod
    def compare(self, real: np.ndarray, fake: np.ndarray, note: Callable[[str], None]) -> Mapping[str, float]:
        """Return the numbers from features of examples and samples, both `[n, f]`; `note` adds a note."""
