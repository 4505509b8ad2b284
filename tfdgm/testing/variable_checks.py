"""Checks of variables: where they are made, what trains them, who assigns them, what a checkpoint keeps."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Collector
from tfdgm.contracts.made_variables import variables_made
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.runs.checkpoint_files import Checkpoint, path_of, read, write
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.trials import BATCH, Trial, stream, trials
from tfdgm.training.step import training_step

BUILT = ("prior", "posterior", "likelihood", "network", "objective")
#: Number of steps after which every trainable variable has moved, also below layers that start at 0.
_STEPS = 3


def train_step(trial: Trial, step: int = 0) -> None:
    """Take one step of training on the first rows, without compiling it."""
    built = trial.built
    rows = tf.constant(built.experiment.train.gather(np.arange(BATCH)))
    draws = [Draw(tf.range(BATCH), rows)] * sum(player.updates for player in built.players)
    training_step(
        trial.model,
        built.players,
        draws,
        tf.constant(step, tf.int64),
        devices=Devices(),
        seed=Seed(stream()).child(step),
        shards=1,
        clip_norm=None,
    )


def _call_all(trial: Trial) -> None:
    trial.outputs(trial.context(training=True, collector=Collector()))
    trial.outputs(trial.context())


@check(
    *BUILT, cure="Keep every variable as an attribute of the component, in lists or dicts of attributes, or in layers."
)
def variables_are_in_the_tree(subject: Subject) -> None:
    """Every variable made in `build` or the first calls is found below the plugin, and so is trained and saved."""
    for trial in trials(subject):
        with variables_made() as made:
            _call_all(trial)
        found = {id(raw(variable)) for variable in trial.built.state.variables.values()}
        found |= {id(raw(variable)) for variable in trial.variables().values()}
        lost = [str(each) for each in (*trial.made, *made) if id(each.variable) not in found]
        subject.require(not lost, "", f"it makes {'; '.join(lost)}, not found below the plugin", "no such variable")


@check(*BUILT, cure="Make the variable in `build`.")
def calls_make_no_variables(subject: Subject) -> None:
    """No call makes a variable."""
    for trial in trials(subject):
        with variables_made() as made:
            _call_all(trial)
        subject.require(not made, "", f"a call makes {'; '.join(map(str, made))}", "variables made in `build` only")


@check(
    *BUILT, cure="Return the new value through `context.collect`, and assign it in `update_statistics` or `project`."
)
def calls_assign_no_variables(subject: Subject) -> None:
    """No call assigns a variable."""
    for trial in trials(subject):
        named = {name: raw(variable) for name, variable in trial.built.state.variables.items()}
        known = {id(variable) for variable in named.values()}
        named |= {str(each): each.variable for each in trial.made if id(each.variable) not in known}
        before = {name: np.array(variable.numpy()) for name, variable in named.items()}
        _call_all(trial)
        after = {name: variable.numpy() for name, variable in named.items()}
        changed = [name for name in before if not np.array_equal(before[name], after[name], equal_nan=True)]
        subject.require(not changed, "", f"a call assigns {', '.join(changed)}", "no assignment outside the hooks")


@check(*BUILT, cure="Read the variable inside the call (`.value`), and use operations that have a gradient.")
def gradients_reach_the_variables(subject: Subject) -> None:
    """The gradient of the loss that trains the plugin reaches each of its trainable variables and is finite."""
    for trial in _with_variables(subject):
        named = trial.trained()
        tensors = [raw(variable) for variable in named.values()]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            loss = trial.loss(trial.context(training=True, collector=Collector()))
        for name, gradient in zip(named, tape.gradient(loss, tensors), strict=True):
            subject.require(gradient is not None, name, "no gradient of the loss reaches it", "a gradient")
            finite = bool(np.all(np.isfinite(tf.convert_to_tensor(gradient).numpy())))
            subject.require(finite, name, "its gradient is not finite", "finite numbers")


@check(*BUILT, cure="Use the variable in what the loss depends on, or set trainable=False.")
def steps_move_the_variables(subject: Subject) -> None:
    """A few training steps move every trainable variable, and all of them stay finite.

    An adversary's loss may be invariant to some of its variables, such as the last bias of a Wasserstein critic; at
    least one variable must move.
    """
    for trial in _with_variables(subject):
        before = trial.values()
        for step in range(_STEPS):
            train_step(trial, step)
        after = trial.values()
        still = [name for name in trial.trained() if np.all(after[name] == before[name])]
        if subject.kind == "objective" and len(still) < len(trial.trained()):
            still = []
        subject.require(not still, "", f"{_STEPS} steps do not move {', '.join(still)}", "a change")
        for name, value in after.items():
            subject.require(np.all(np.isfinite(value)), name, "it is not finite after a step", "finite numbers")


def _with_variables(subject: Subject) -> list[Trial]:
    found = [trial for trial in trials(subject) if trial.trained()]
    if not found:
        raise NotApplicable("it has no trainable variables")
    return found


@check(*BUILT, cure="Keep everything that `build` draws or learns in variables, non-trainable ones for constants.")
def checkpoints_restore_the_outputs(subject: Subject) -> None:
    """An instance built with another seed gives equal results once a checkpoint is read into it."""
    for trial, other in zip(trials(subject), trials(subject, seed=1), strict=True):
        train_step(trial)
        with tempfile.TemporaryDirectory() as folder:
            write(path_of(Path(folder), 1), Checkpoint(1, trial.built.state.read()))
            other.built.state.assign(read(path_of(Path(folder), 1)).tensors)
        expected, restored = trial.outputs(trial.context()), other.outputs(other.context())
        for name, value in expected.items():
            equal = np.array_equal(value.numpy(), restored[name].numpy(), equal_nan=True)
            subject.require(equal, "", f"{name} differs after a checkpoint is read", "equal results")
