"""All mutable variables of a run, by name."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import named_variables, raw
from tfdgm.errors import UserError
from tfdgm.runs.players import Player


class State:
    """The step counter and the variables of the model, the objectives and the optimizers."""

    def __init__(
        self,
        model: Any,
        objectives: dict[str, Any],
        players: Sequence[Player],
        learning_rate_scale: tf.Variable | None = None,
    ) -> None:
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.players = players
        self.variables: dict[str, Any] = {"step": self.step}
        self.variables |= named_variables(model, "model")
        self.variables |= named_variables(objectives, "objectives")
        for player in players:
            self.variables |= player.state()
        self.learning_rate_scale = learning_rate_scale
        if learning_rate_scale is not None:
            self.variables["learning_rate_scale"] = learning_rate_scale

    def read(self) -> dict[str, np.ndarray]:
        """Return a copy of every value."""
        return {name: np.array(raw(variable).numpy()) for name, variable in self.variables.items()}

    def assign(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Assign every variable.

        Raises:
          UserError: a tensor is missing, unknown, or of another shape.
        """
        problems = [f"{name} is missing" for name in self.variables if name not in tensors]
        problems += [f"{name} is not part of this run" for name in tensors if name not in self.variables]
        problems += [
            f"{name} has shape {tensors[name].shape} instead of {tuple(raw(variable).shape)}"
            for name, variable in self.variables.items()
            if name in tensors and tensors[name].shape != tuple(raw(variable).shape)
        ]
        if problems:
            raise UserError(f"the checkpoint does not fit this experiment: {'; '.join(problems[:5])}")
        for name, variable in self.variables.items():
            raw(variable).assign(tensors[name])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Replace the weights by their moving averages within the block, where a player has averages."""
        swapped = [
            (player.variables[path], average) for player in self.players for path, average in player.averages.items()
        ]
        kept = [raw(variable).numpy() for variable, _ in swapped]
        for variable, average in swapped:
            raw(variable).assign(raw(average))
        try:
            yield
        finally:
            for (variable, _), value in zip(swapped, kept, strict=True):
                raw(variable).assign(value)


def count_parameters(variables: Mapping[str, Any]) -> int:
    """Return the total number of scalars."""
    return sum(int(np.prod(variable.shape)) for variable in variables.values())
