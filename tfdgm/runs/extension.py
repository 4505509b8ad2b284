"""Continuing a run under another optimizer or schedule: which parts of a checkpoint still apply."""

import numpy as np

from tfdgm.errors import UserError
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.players import Player
from tfdgm.runs.same_run import EXTEND
from tfdgm.runs.state import State


def extended_tensors(state: State, checkpoint: Checkpoint, steps: int) -> dict[str, np.ndarray]:
    """Return the tensors of a checkpoint as a run with other optimizer settings restores them.

    Moments and the number of updates go on. A constant learning rate is a variable of Keras's optimizers, and would
    come back from the checkpoint: it is that of the new configuration instead.

    Args:
      state: the variables to restore.
      checkpoint: the checkpoint.
      steps: the number of steps of the extended run.

    Raises:
      UserError: an optimizer keeps other variables than the one that made the checkpoint, or the checkpoint is beyond
        the last step.
    """
    if checkpoint.step > steps:
        raise UserError(f"{EXTEND}: experiment.steps is {steps:,}, but the run has made {checkpoint.step:,} steps")
    found, tensors = dict(checkpoint.tensors), checkpoint.tensors
    for player in state.players:
        prefix = f"players/{player.name}/optimizer/"
        saved = {int(name.removeprefix(prefix)): found.pop(name) for name in tensors if name.startswith(prefix)}
        found |= {
            f"{prefix}{at}": value for at, value in enumerate(_fitted(player, [saved[at] for at in sorted(saved)]))
        }
    return found


def _fitted(player: Player, saved: list[np.ndarray]) -> list[np.ndarray]:
    """Return the values of an optimizer's variables, in their order."""
    variables = player.optimizer.variables
    own = [np.array(variable) for variable in variables]
    rates = [at for at, variable in enumerate(variables) if variable.name == "learning_rate"]
    at = rates[0] if rates else 1  # after the number of updates
    without = own[:at] + own[at + 1 :] if rates else own
    if len(saved) == len(without) + 1:  # its learning rate was a constant
        saved = saved[:at] + saved[at + 1 :]
    if [value.shape for value in saved] != [value.shape for value in without]:
        raise UserError(
            f"{EXTEND}: {type(player.optimizer).__name__}, the optimizer of the player {player.name!r}, keeps other "
            "variables than the one that made the checkpoint; change its settings only, or start a new run from these "
            "weights with experiment.initial"
        )
    return [*saved[:at], own[at], *saved[at:]] if rates else saved
