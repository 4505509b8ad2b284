"""Optimizers and schedules of Keras, with checks of their hyperparameters.

Keras does not annotate hyperparameters and accepts most values, only to fail in the first step or to train wrongly, so
this module checks them by the types of their defaults.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from tfdgm.contracts.component import check_type
from tfdgm.errors import UserError, did_you_mean

_ABSTRACT = "it is abstract"
_ONE_PLAYER = "each player has one optimizer for all its variables"
_SCALED = "the training step does not multiply losses by the scale that it divides out; see experiment.precision"
#: Unsupported classes, and why.
_UNUSABLE = {
    "keras.optimizers.Optimizer": _ABSTRACT,
    "keras.optimizers.schedules.LearningRateSchedule": _ABSTRACT,
    "keras.optimizers.LossScaleOptimizer": _SCALED,
    "keras.optimizers.MultiOptimizer": _ONE_PLAYER,
    "keras.optimizers.OptimizerMap": _ONE_PLAYER,
}

#: Types of parameters whose defaults do not show them.
_ANNOTATIONS: dict[str, Any] = {
    "name": str | None,
    "learning_rate": float | LearningRateSchedule,
    "adam_lr_ratio": float,
    "boundaries": list[float],
    "values": list[float],
    "exclude_layers": list[str] | None,
    "ema_overwrite_frequency": int | None,
    "gradient_accumulation_steps": int | None,
    **dict.fromkeys(("initial_learning_rate", "decay_steps", "first_decay_steps", "decay_rate"), float),
    **dict.fromkeys(("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "warmup_target"), float | None),
    "loss_scale_factor": float | None,
}
_POSITIVE = ("decay_steps", "first_decay_steps", "epsilon")
_NOT_NEGATIVE = ("learning_rate", "initial_learning_rate", "end_learning_rate", "warmup_target", "warmup_steps")
_DECAY_RATES = ("beta_1", "beta_2", "adam_beta_1", "adam_beta_2", "rho")


@functools.cache
def find_configurable(selector: str) -> Callable[..., Any]:
    """Return a function that makes a Keras object from keyword arguments, after checking them.

    Args:
      selector: `keras.optimizers.NAME` or `keras.optimizers.schedules.NAME`.

    Raises:
      UserError: there is no such class, or it is not supported.
    """
    classes = _classes()
    if selector not in classes:
        raise UserError(f"{selector} does not exist. {did_you_mean(selector, usable())}")
    if selector in _UNUSABLE:
        raise UserError(f"{selector} is not supported: {_UNUSABLE[selector]}")
    made = classes[selector]
    signature = inspect.signature(made)

    def make(**values: Any) -> Any:
        missing = [name for name, p in signature.parameters.items() if _is_required(p) and name not in values]
        if missing:
            raise UserError(f"{selector} requires {' and '.join(missing)}")
        checked = {name: _checked(selector, signature.parameters[name], value) for name, value in values.items()}
        try:
            return made(**checked)
        except Exception as error:
            raise UserError(f"{selector}: {str(error) or type(error).__name__}") from error

    # gin reads parameters and defaults off the signature
    make.__signature__ = signature  # type: ignore[attr-defined]
    make.__name__ = make.__qualname__ = made.__name__
    return make


def usable() -> dict[str, Any]:
    """Return the classes that a config can name, by selector."""
    return {selector: made for selector, made in _classes().items() if selector not in _UNUSABLE}


def _classes() -> dict[str, Any]:
    modules = {"keras.optimizers": keras.optimizers, "keras.optimizers.schedules": keras.optimizers.schedules}
    return {
        f"{prefix}.{name}": value
        for prefix, module in modules.items()
        for name, value in vars(module).items()
        if inspect.isclass(value)
    }


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD


def _annotation(parameter: inspect.Parameter) -> Any:
    if parameter.name in _ANNOTATIONS:
        return _ANNOTATIONS[parameter.name]
    return type(parameter.default) if isinstance(parameter.default, (bool, int, float, str)) else Any


def _checked(selector: str, parameter: inspect.Parameter, value: Any) -> Any:
    """Check the value of a parameter; return it, as a float where Keras expects one."""
    name, full_name = parameter.name, f"{selector}.{parameter.name}"
    annotation = _annotation(parameter)
    check_type(full_name, value, annotation)
    if isinstance(value, (int, float)):
        if name in _POSITIVE and value <= 0:
            raise UserError(f"{full_name} must be positive, got {value}")
        if name in _NOT_NEGATIVE and value < 0:
            raise UserError(f"{full_name} must not be negative, got {value}")
        if name in _DECAY_RATES and not 0 <= value < 1:
            raise UserError(f"{full_name} must be in [0, 1), got {value}")
    if name == "loss_scale_factor" and value is not None:
        raise UserError(f"{full_name} is not supported: {_SCALED}")
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_int and annotation is not int and not name.endswith("steps") else value
