"""Go back to an earlier checkpoint, with half the learning rates, when training becomes non-finite."""

from typing import Protocol

from tfdgm.errors import NonFiniteError
from tfdgm.parallel.devices import Devices
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.experiment import Built


class Recoverable(Protocol):
    """What recovery needs of the training."""

    built: Built
    devices: Devices
    checkpoints: Checkpoints

    def restore(self) -> int: ...

    def write_checkpoint(self) -> None: ...

    def say(self, line: str) -> None: ...


class Recovery:
    """Goes back at most `allowed` times in a run.

    How often it did is seen from the factor on the learning rates, which checkpoints hold.
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._went_back_to = -1

    def go_back(self, training: Recoverable, error: NonFiniteError) -> None:
        """Go to the newest sound checkpoint and halve the learning rates.

        Where going back gave no newer checkpoint, the newest is dropped for the one before it.

        Raises:
          NonFiniteError: the error itself, where that was tried often enough.
        """
        variable = training.built.state.learning_rate_scale
        if variable is None:
            raise error
        scale = float(variable.numpy())
        if scale <= 0.5**self.allowed:
            raise NonFiniteError(f"{error}; the learning rates were halved {self.allowed} time(s) before") from None
        step = training.restore()
        if step == self._went_back_to:  # the run was lost at this step already
            if training.devices.is_chief:
                training.checkpoints.drop_newest()
            step = training.restore()
        self._went_back_to = step
        variable.assign(scale / 2)  # the checkpoint may be of before the last halving
        training.say(f"{error}; going on from step {step} with {scale / 2:g} of the learning rates")
        training.write_checkpoint()
