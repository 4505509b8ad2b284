"""Checks of plugins on several devices."""

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Draw
from tfdgm.parallel.replicas import Replicas
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.trials import Trial, stream, trials
from tfdgm.testing.variable_checks import BUILT
from tfdgm.training.step import shard_pass

_DEVICES, _BATCH = 2, 4
#: Two devices add float32 numbers in another order than one.
_TOLERANCE = 1e-3


@check(*BUILT, cure="Make every variable a keras.Variable, and read it inside the call.")
def variables_are_of_keras(subject: Subject) -> None:
    """All variables are `keras.Variable`, which several devices can mirror."""
    for trial in trials(subject):
        others = [name for name, variable in trial.variables().items() if not isinstance(variable, keras.Variable)]
        subject.require(not others, "", f"{', '.join(others)} is a tf.Variable", "a keras.Variable")


@check(*BUILT, cure="Compute with this shard's rows only; learn from the whole batch by `context.collect`.")
def two_devices_agree(subject: Subject) -> None:
    """Two shards on two devices give the gradients, statistics and metrics that they give on one device."""
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    if len(names) < _DEVICES:
        raise NotApplicable(
            "this process has one logical CPU device; tf.config.set_logical_device_configuration makes more"
        )
    reduce = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(names[:_DEVICES], cross_device_ops=reduce)
    two = partial(Replicas, strategy, compiled=False)
    on_one = [_totals(trial) for trial in trials(subject, batch_size=_BATCH)]
    with strategy.scope():
        on_two = [_totals(trial) for trial in trials(subject, batch_size=_BATCH, devices=two)]
    for first, second in zip(on_one, on_two, strict=True):
        for name, expected in first.items():
            close = np.allclose(
                second[name], expected, rtol=_TOLERANCE, atol=_TOLERANCE * (1 + np.max(np.abs(expected)))
            )
            subject.require(close, "", f"{name} is {second[name]} on two devices", f"{expected}, as on one")


def _totals(trial: Trial) -> dict[str, np.ndarray]:
    """Return what two shards give together, for every player."""
    rows = tf.constant(trial.built.experiment.train.gather(np.arange(_BATCH)))
    step, seed = tf.constant(0, tf.int64), Seed(stream())
    found: dict[str, Any] = {}
    for player in trial.built.players:
        run = partial(shard_pass, trial.model, player)
        draw = Draw(tf.range(_BATCH), rows)
        total = trial.built.devices.total(player.name, run, draw, step, seed, _DEVICES, None, tf.constant(True))
        for name, gradient in zip(player.variables, total.gradients, strict=True):
            found[f"the gradient of {name}"] = gradient
        for number, statistics in enumerate(total.totals.values()):
            found |= {f"the statistic {name} of component {number}": value for name, value in statistics.items()}
        found |= {f"the metric {name}": value for name, value in total.metrics.items()}
    return {name: _local(value) for name, value in found.items()}


def _local(value: Any) -> np.ndarray:
    """Return a tensor's value, on the first device if there are several."""
    return np.asarray(value.values[0] if hasattr(value, "values") else value)
