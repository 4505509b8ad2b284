"""The best checkpoint by a validation score."""

import math
from collections.abc import Mapping

from tfdgm.errors import UserError
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.experiment import Side


class Best:
    """Knows the best value so far; also over a resume, since it stands in the best checkpoint's manifest.

    Args:
      metric: name of a validation score; None keeps no best.
      side: which values are good.
      checkpoints: of the run.
    """

    def __init__(self, metric: str | None, side: Side, checkpoints: Checkpoints) -> None:
        self.metric = metric
        self.sign = 1.0 if side == "largest" else -1.0
        kept = checkpoints.best() if metric is not None else None
        self.value = -math.inf if kept is None or kept.score is None else self.sign * kept.score

    def check(self, scores: Mapping[str, float]) -> None:
        """Raises: UserError: there is no such score."""
        if self.metric not in scores:
            known = ", ".join(scores) or "none: the data has no validation split"
            raise UserError(
                f"experiment.keep_best: {self.metric!r} is no validation score of this run; there is {known}"
            )

    def improved(self, metrics: Mapping[str, float]) -> float | None:
        """The score, where these metrics have one and it is better than all before."""
        if self.metric is None or self.metric not in metrics or self.sign * metrics[self.metric] <= self.value:
            return None
        self.value = self.sign * float(metrics[self.metric])
        return float(metrics[self.metric])
