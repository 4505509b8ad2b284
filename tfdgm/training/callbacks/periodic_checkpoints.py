"""Save checkpoints at regular time intervals."""

import time
from collections.abc import Mapping

from tfdgm.contracts.callback import Callback, Training


class PeriodicCheckpoints(Callback):
    """Saves a checkpoint once `seconds` have passed since the last one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_start(self, training: Training) -> None:
        self.training, self.saved_at = training, time.monotonic()

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        if time.monotonic() - self.saved_at >= self.seconds:
            self.training.save()

    def on_checkpoint(self, step: int) -> None:
        self.saved_at = time.monotonic()
