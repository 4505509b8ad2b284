"""Early stopping."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from tfdgm import Callback, Training


class EarlyStopping(Callback):
    """Stops training when a validation score has not improved for `patience` validations (Prechelt 1998).

    Every checkpoint holds the best value and the number of validations since then, so a resumed run stops at the same
    step as an uninterrupted one, and a stopped run stays stopped.

    Args:
      score: name of a validation score, as in metrics.jsonl.
      best_is: whether larger or smaller scores are better.
      patience: number of validations without improvement before training stops.
      at_least: smallest change, in the score's unit, that counts as an improvement; a change must exceed it.
    """

    def __init__(
        self,
        *,
        score: str = "validation_elbo",
        best_is: Literal["largest", "smallest"] = "largest",
        patience: int = 5,
        at_least: float = 0.0,
    ) -> None:
        self.require(patience >= 1, f"patience must be at least 1, got {patience}")
        self.require(at_least >= 0, f"at_least must not be negative, got {at_least}")
        self.reads_score = score
        self.sign = 1.0 if best_is == "largest" else -1.0
        self.patience = patience
        self.at_least = at_least
        self.best: float | None = None
        self.best_step = 0
        self.since = 0

    def on_start(self, training: Training) -> None:
        self.training = training
        self._stop_if_due()

    def on_validation(self, step: int, scores: Mapping[str, float]) -> None:
        if self.reads_score not in scores:
            return
        value = float(scores[self.reads_score])
        improved = self.best is None or self.sign * (value - self.best) > self.at_least
        if improved and not math.isnan(value):
            self.best, self.best_step, self.since = value, step, 0
        else:
            self.since += 1
            self._stop_if_due()

    def _stop_if_due(self) -> None:
        if self.since < self.patience:
            return
        if self.best is None:
            self.training.stop(f"{self.reads_score} has never been a number")
        else:
            self.training.stop(f"{self.reads_score} has not improved since step {self.best_step} ({self.best:.6g})")

    def state(self) -> dict[str, Any]:
        return {**self._identity(), "best": self.best, "best_step": self.best_step, "since": self.since}

    def restore(self, state: Mapping[str, Any]) -> None:
        if self._identity().items() <= state.items():  # else the memory is of another score
            self.best, self.best_step, self.since = state["best"], state["best_step"], state["since"]

    def _identity(self) -> dict[str, Any]:
        return {"score": self.reads_score, "sign": self.sign}
