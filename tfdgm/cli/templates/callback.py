"""A callback for tfdgm."""

from collections.abc import Mapping

from tfdgm import Callback, Training


class ExampleCallback(Callback):
    """Reports when the loss first falls below a bound.

    Args:
      bound: on the mean loss of a loop, in the unit of the objectives.
    """

    plugin_api = 2

    def __init__(self, *, bound: float = 0.0) -> None:
        self.bound = bound
        self.below = False

    def on_start(self, training: Training) -> None:
        self.training = training

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        if not self.below and metrics["loss"] < self.bound:
            self.below = True
            self.training.say(f"the loss is below {self.bound:g} at step {step}")

    def state(self) -> dict[str, bool]:
        return {"below": self.below}

    def restore(self, state: Mapping[str, bool]) -> None:
        self.below = state["below"]
