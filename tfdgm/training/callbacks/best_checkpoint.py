"""Keep the best checkpoint by a validation score."""

import math
from collections.abc import Mapping
from typing import Any

from tfdgm.contracts.callback import Callback, Training
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.experiment import Side


class BestCheckpoint(Callback):
    """Saves a checkpoint whenever a score is better than all before.

    A resumed run reads the best value so far from the manifest of the best checkpoint, unless that is of another score.

    Args:
      score: name of a validation score.
      side: whether the largest or the smallest value is the best.
      checkpoints: the checkpoints of the run.
    """

    def __init__(self, score: str, side: Side, checkpoints: Checkpoints) -> None:
        self.reads_score = self.name = score
        self.sign = 1.0 if side == "largest" else -1.0
        self.checkpoints = checkpoints
        self.value = -math.inf
        self._read = False

    def on_start(self, training: Training) -> None:
        self.training = training
        if not self._read:
            kept, self._read = self.checkpoints.best(), True
            if kept is None or kept.score is None:
                return
            if kept.callbacks.get(self.state_name(0), self.state()) == self.state():
                self.value = self.sign * kept.score
            else:
                training.say(f"the best checkpoint is of another score; searching for the best {self.name} anew")

    def state(self) -> dict[str, Any]:
        return {"score": self.name, "sign": self.sign}

    def on_validation(self, step: int, scores: Mapping[str, float]) -> None:
        score = float(scores.get(self.name, math.nan))
        if self.sign * score > self.value:
            self.value = self.sign * score
            self.training.save(score=score)
