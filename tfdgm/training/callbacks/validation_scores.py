"""Validate at regular intervals."""

from collections.abc import Mapping

from tfdgm.contracts.callback import Callback, Training
from tfdgm.errors import UserError
from tfdgm.evaluation.validation import Validation
from tfdgm.runs.experiment import Built


class ValidationScores(Callback):
    """Reports the scores of the validation split every `experiment.validate_every` steps, and at the end."""

    everywhere = True

    def __init__(self, built: Built) -> None:
        self.experiment = built.experiment
        self.score = Validation(built)
        self.known: dict[str, float] | None = None
        self.shown: set[str] = set()

    def on_start(self, training: Training) -> None:
        """Raise `UserError` if a callback reads a score that the run does not have."""
        self.training, self.last = training, training.step
        required = {callback.reads_score for callback in training.callbacks} - {None}
        required -= {name for callback in training.callbacks for name in callback.reports}
        if not required:
            return
        if self.known is None:
            self.known = self.score()
            self._show_notes()
        for name in sorted(map(str, required)):
            if name not in self.known:
                listed = ", ".join(self.known) or "none: the data has no validation split"
                raise UserError(f"{name!r} is not a validation score of this run; it has {listed}")

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        every = self.experiment.validate_every
        if step // every > self.last // every or step == self.experiment.steps:
            self.training.report(self.score())
            self._show_notes()
        self.last = step

    def _show_notes(self) -> None:
        """Print each note once, since validations repeat them."""
        for key, note in self.score.notes.items():
            if note not in self.shown:
                self.shown.add(note)
                self.training.say(f"validation: {key}: {note}")
