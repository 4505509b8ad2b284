"""End the training after a signal."""

import math
import signal
import time
from collections.abc import Mapping

from tfdgm.contracts.callback import Callback, Training


class Interruption(Callback):
    """Stops the training after a signal and a grace period.

    Args:
      received: the received signals, to which a handler appends.
      grace_seconds: seconds from the first signal to the stop.
    """

    everywhere = True

    def __init__(self, received: list[int], grace_seconds: float) -> None:
        self.received = received
        self.grace_seconds = grace_seconds
        self.stop_at = math.inf

    def on_start(self, training: Training) -> None:
        self.training = training

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        if not self.received:
            return
        self.stop_at = min(self.stop_at, time.monotonic() + self.grace_seconds)
        if time.monotonic() >= self.stop_at:
            number = self.received[0]
            self.training.stop(signal.Signals(number).name, number)
