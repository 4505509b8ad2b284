"""Players: sets of variables, each with a loss and an optimizer."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from tfdgm.contracts.component import Component, components, named_variables, raw, trainable
from tfdgm.contracts.objective import Loss, Objective
from tfdgm.errors import PluginFault, UserError
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.model.model import Model
from tfdgm.parallel.devices import Devices


@dataclasses.dataclass
class Player:
    """The model, or the adversary of one objective.

    Attributes:
      name: "model", or the objective's name.
      owned: the component whose trainable variables this player updates.
      loss: maps a forward pass to the loss that it minimises.
      optimizer: its Keras optimizer.
      updates: number of its updates in each training step.
      ema_decay: decay of the exponential moving average of the weights, or None.
    """

    name: str
    owned: Component
    loss: Callable[[ForwardPass], Loss]
    optimizer: Any
    updates: int = 1
    ema_decay: float | None = None

    def build(self, learning_rate_scale: tf.Variable | None = None) -> None:
        """Collect the variables of the components, which must be built, and create the optimizer's variables.

        Args:
          learning_rate_scale: a factor on the optimizer's learning rate.

        Raises:
          UserError: the player has no trainable variables.
        """
        if learning_rate_scale is not None:
            rate = self.optimizer._learning_rate
            rate = rate if isinstance(rate, LearningRateSchedule) else float(self.optimizer.learning_rate)
            self.optimizer.learning_rate = Scaled(rate, learning_rate_scale)
        self.variables = trainable(named_variables(self.owned))
        if not self.variables:
            raise UserError(f"the player {self.name!r} has nothing to train: it has no trainable variables")
        self.parts = components(self.owned)
        self.optimizer.build(list(self.variables.values()))
        self.averages: dict[str, keras.Variable] = {}
        if self.ema_decay is not None:
            for path, variable in self.variables.items():
                self.averages[path] = keras.Variable(raw(variable).numpy(), trainable=False, name="average")

    def state(self) -> dict[str, Any]:
        """Return the variables of the optimizer and the moving averages, by name."""
        return named_variables({"optimizer": self.optimizer, "average": self.averages}, f"players/{self.name}")

    def apply(self, gradients: Sequence[Any], devices: Devices) -> None:
        """Take one optimizer step, then update the moving averages."""
        devices.apply(self.optimizer, gradients, list(self.variables.values()))
        for path, average in self.averages.items():
            old, new = raw(average), raw(self.variables[path])
            old.assign_sub((1.0 - self.ema_decay) * (old - new))  # type: ignore[operator]

    def update_statistics(self, totals: dict[Component, dict[str, tf.Tensor]], context: Any) -> None:
        """Pass this step's totals to the components that collected them."""
        for part, statistics in totals.items():
            part.update_statistics(statistics, context)

    def project(self) -> None:
        """Project the variables of all components onto their feasible sets."""
        for part in self.parts:
            part.project()


class Scaled(LearningRateSchedule):
    """A learning rate multiplied by a variable.

    Args:
      rate: a schedule, or a constant.
      scale: the factor.
    """

    def __init__(self, rate: LearningRateSchedule | float, scale: tf.Variable) -> None:
        self.rate = rate
        self.scale = scale

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        rate = self.rate(step) if isinstance(self.rate, LearningRateSchedule) else self.rate
        return rate * tf.convert_to_tensor(self.scale)


def make_players(
    model: Model,
    objectives: dict[str, Objective],
    optimizer: Any,
    ema_decay: float | None,
) -> list[Player]:
    """Return the adversaries in the order of the objectives, then the model, without building them."""
    adversaries = [
        Player(name, objective, _adversary_loss(objective), objective.optimizer, objective.critic_steps)
        for name, objective in objectives.items()
        if objective.critic_steps
    ]
    return [*adversaries, Player("model", model, _model_loss(objectives), optimizer, ema_decay=ema_decay)]


def _adversary_loss(objective: Objective) -> Callable[[ForwardPass], Loss]:
    return lambda forward: _checked(objective, objective.adversary_loss(forward, forward.context), forward)


def _checked(objective: Objective, loss: Loss, forward: ForwardPass) -> Loss:
    """Return the loss.

    Raises:
      PluginFault: its value is not one number for each example, or a metric has the name of one of the core's.
    """
    batch, shape = forward.x.shape[0], tuple(loss.value.shape)
    if shape != (batch,):
        raise PluginFault(
            f"{objective.display_name()}: the value of the loss has shape {shape}, not ({batch},): return one number "
            "for each example, whose mean the core takes"
        )
    taken = sorted({"loss", "gradient_norm"} & set(loss.metrics))
    if taken:
        raise PluginFault(f"{objective.display_name()}: the metric {taken[0]!r} is one of tfdgm's own; rename it")
    return loss


def _model_loss(objectives: dict[str, Objective]) -> Callable[[ForwardPass], Loss]:
    def loss(forward: ForwardPass) -> Loss:
        total: Any = 0.0
        metrics: dict[str, tf.Tensor] = {}
        for name, objective in objectives.items():
            term = _checked(objective, objective.model_loss(forward, forward.context.within(name)), forward)
            total = total + objective.weight * term.value
            prefix = f"{name}/" if objective.critic_steps else ""
            metrics.update({prefix + metric_name: metric for metric_name, metric in term.metrics.items()})
        if forward.model.prior.needs_posterior:
            _ = forward.prior  # reading it collects its statistics, also if no objective reads it
        if forward.model.posterior is not None:
            for name, value in forward.latent.losses.items():
                total = total + value
                metrics[name] = tf.convert_to_tensor(value)
            metrics |= forward.latent.metrics
        return Loss(total, metrics)

    return loss
