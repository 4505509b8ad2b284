"""Return to an earlier checkpoint and halve the learning rates when training becomes non-finite."""

from typing import Protocol

from tfdgm.errors import NonFiniteError
from tfdgm.parallel.devices import Devices
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.experiment import Built


class Recoverable(Protocol):
    """The interface of a training to its recovery."""

    built: Built
    devices: Devices
    checkpoints: Checkpoints

    def restore(self) -> int: ...

    def say(self, line: str) -> None: ...


class Recovery:
    """Recovers at most `allowed` times in a run.

    The factor on the learning rates, which is part of every checkpoint, determines the number of past recoveries.
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._restored_step = -1

    def recover(self, training: Recoverable, error: NonFiniteError) -> None:
        """Return to the newest intact checkpoint and halve the learning rates; the caller writes a new checkpoint.

        If the previous recovery has led to no newer checkpoint, delete the newest and return to the one before it.

        Raises:
          NonFiniteError: the same error, after `allowed` recoveries.
        """
        variable = training.built.state.learning_rate_scale
        if variable is None:
            raise error
        scale = float(variable.numpy())
        if scale <= 0.5**self.allowed:
            raise NonFiniteError(
                f"{error}; the learning rates have already been halved {self.allowed} time(s)"
            ) from None
        step = training.restore()
        if step == self._restored_step:  # the run has already failed from this step
            training.devices.all_reduce_sum([0.0])  # wait until every worker has read the file
            if training.devices.is_chief:
                training.checkpoints.drop_newest()
            step = training.restore()
        self._restored_step = step
        variable.assign(scale / 2)  # the checkpoint may precede the last halving
        training.say(f"{error}; continuing from step {step} with the learning rates multiplied by {scale / 2:g}")
