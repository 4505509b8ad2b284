"""Starting a new run from the weights of another."""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tfdgm.contracts.component import Component, named_variables, raw
from tfdgm.errors import UserError, did_you_mean
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.state import State

_AVERAGE = "players/model/average/"
_SHOWN = 4


@dataclasses.dataclass(frozen=True)
class InitialWeights:
    """What a new run took from another.

    Attributes:
      workdir: of the other run.
      step: of its checkpoint.
      taken: the variables whose values were taken.
      kept: those that keep their own initial values: other parts, or without a counterpart.
      unused: those of the other run, in the parts to take, that have no counterpart here.
    """

    workdir: str
    step: int
    taken: list[str]
    kept: list[str]
    unused: list[str]

    def lines(self) -> list[str]:
        """Return a line for the user about each list that is not empty."""
        found = [f"initial weights from {self.workdir} at step {self.step}: {_counted(self.taken)}"]
        if self.kept:
            found.append(f"not taken, as they are initialised here: {_counted(self.kept)}")
        if self.unused:
            found.append(f"not taken, as this run has no such variables: {_counted(self.unused)}")
        return found


def take_initial_weights(state: State, workdir: str, parts: Sequence[str] | None) -> InitialWeights:
    """Assign the weights of the newest checkpoint of another run to the variables of the same names.

    Where that run keeps moving averages of its weights, these are taken, as in its evaluation. Optimizers start anew,
    and variables that hold a setting of the new run, such as a fixed scale, keep it.

    Args:
      state: the new run's variables.
      workdir: of the other run.
      parts: names such as "encoder", or an objective's; None takes all of them.

    Raises:
      UserError: there is no checkpoint, a part is unknown, a shape differs, or nothing could be taken.
    """
    checkpoint = Checkpoints(Path(workdir) / "checkpoints").latest()
    if checkpoint is None:
        raise UserError(f"experiment.initial: there is no checkpoint in {workdir}, which must be the workdir of a run")
    given = _weights(checkpoint)
    own = _learned(state)
    chosen = _chosen({str(_part(name)) for name in own}, parts)
    wanted = [name for name in own if _part(name) in chosen]
    taken = [name for name in wanted if name in given]
    wrong = [
        f"{name} has shape {given[name].shape} there and {tuple(raw(own[name]).shape)} here"
        for name in taken
        if given[name].shape != tuple(raw(own[name]).shape)
    ]
    if wrong:
        raise UserError(
            f"experiment.initial: the weights of {workdir} do not fit: {'; '.join(wrong[:_SHOWN])}"
            f"{'; ...' if len(wrong) > _SHOWN else ''}. Name the parts to take in experiment.initial_parts"
        )
    if not taken:
        raise UserError(f"experiment.initial: {workdir} has no variables of the parts {', '.join(sorted(chosen))}")
    for name in taken:
        raw(own[name]).assign(given[name])
    _restart_averages(state)
    unused = [name for name in given if _part(name) in chosen and name not in state.variables]
    return InitialWeights(workdir, checkpoint.step, taken, [name for name in own if name not in taken], unused)


def _learned(state: State) -> dict[str, Any]:
    """Return the variables that training changes, by gradients or statistics; others hold settings, such as a scale."""
    parts = [part for player in state.players for part in player.parts]
    trained = [variable for player in state.players for variable in player.variables.values()]
    for part in parts:
        if type(part).update_statistics is not Component.update_statistics:
            trained += named_variables(part).values()
    changed = {id(raw(variable)) for variable in trained}
    return {name: variable for name, variable in state.variables.items() if id(raw(variable)) in changed}


def _weights(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the variables of model and objectives, moving averages in place of the values that they average."""
    found = {name: value for name, value in checkpoint.tensors.items() if _part(name) is not None}
    averages = {name.removeprefix(_AVERAGE): name for name in checkpoint.tensors if name.startswith(_AVERAGE)}
    return found | {
        f"model/{path}": checkpoint.tensors[name] for path, name in averages.items() if f"model/{path}" in found
    }


def _part(name: str) -> str | None:
    """Return the part that a variable belongs to, `encoder` for `model/encoder/...`; None for optimizers and steps."""
    head, _, rest = name.partition("/")
    return rest.partition("/")[0] if head in ("model", "objectives") else None


def _chosen(known: Collection[str], parts: Sequence[str] | None) -> set[str]:
    for part in parts or ():
        if part not in known:
            raise UserError(
                f"experiment.initial_parts: this run has no part {part!r} with variables. {did_you_mean(part, known)}"
            )
    return set(known if parts is None else parts)


def _restart_averages(state: State) -> None:
    """Start moving averages from the weights."""
    for player in state.players:
        for path, average in player.averages.items():
            raw(average).assign(raw(player.variables[path]))


def _counted(names: Sequence[str]) -> str:
    """Return the number of variables in each part."""
    parts = [str(_part(name)) for name in names]
    return ", ".join(f"{part} ({parts.count(part)})" for part in dict.fromkeys(parts)) + " variables"
