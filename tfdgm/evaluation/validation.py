"""The scores during training, on the validation split."""

from tfdgm.evaluation.score_set import ScoreSet
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.runs.experiment import Built


class Validation:
    """The scores of the validation split that declare `in_validation`, by programs that are compiled once.

    Raises:
      UserError: two scores describe the same key.
    """

    def __init__(self, built: Built) -> None:
        self.built = built
        self.scores = ScoreSet(built.experiment)
        self.run: SplitEvaluation | None = None
        if "validation" in built.experiment.splits:
            self.run = SplitEvaluation(built, "validation", purpose="validation critics")
        self.notes: dict[str, str] = {}

    def __call__(self) -> dict[str, float]:
        """Return the numbers by key, prefixed with `validation_`; none if there is no validation split.

        `notes` then holds the scores' notes.
        """
        if self.run is None:
            return {}
        self.run.refresh()
        with self.built.state.averaged():
            found = self.scores.validate(self.run)
        self.notes = {key: value for key, value in found.items() if isinstance(value, str)}
        return {f"validation_{key}": value for key, value in found.items() if key not in self.notes}
