"""Checks that calls are pure functions of their arguments, the seed and the variables."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Collector
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.trials import Trial, trials
from tfdgm.testing.watching import Generators, graphs_traced

CALLED = ("prior", "posterior", "likelihood", "network", "objective", "data")
#: XLA reorders float32 sums of some ten terms; a wrong formula is off by far more.
_TOLERANCE = 1e-3

Arrays = dict[str, np.ndarray]


def outputs(trial: Trial, seed: tf.Tensor | int = 0) -> dict[str, tf.Tensor]:
    """Return the outputs of a call in training and of one outside."""
    training = trial.outputs(trial.context(seed, training=True, collector=Collector()))
    evaluation = trial.outputs(trial.context(seed))
    return {f"{name} in training": value for name, value in training.items()} | {
        f"{name} outside training": value for name, value in evaluation.items()
    }


def arrays(tensors: dict[str, tf.Tensor]) -> Arrays:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}


def different(first: Arrays, second: Arrays) -> list[str]:
    """Return the names of the arrays that differ."""
    return [name for name in first if not np.array_equal(first[name], second[name], equal_nan=True)]


@check(*CALLED, cure="Keep no state in Python attributes; draw with `context.seed_for(purpose)` only.")
def calls_repeat(subject: Subject) -> None:
    """Two calls with the same arguments and the same seed give the same results."""
    for trial in trials(subject):
        changed = different(arrays(outputs(trial)), arrays(outputs(trial)))
        subject.require(not changed, "", f"two equal calls differ in {', '.join(changed)}", "equal results")


@check("prior", "posterior", "likelihood", cure="Pass `context.seed_for(purpose)` to every draw.")
def draws_depend_on_the_seed(subject: Subject) -> None:
    """Draws with different seeds differ."""
    for trial in trials(subject):
        if not trial.random:
            raise NotApplicable("its distribution is a point mass")
        draws = [
            {name: trial.outputs(trial.context(seed))[name].numpy() for name in trial.random} for seed in range(8)
        ]  # eight, since few values of a code are equal by chance
        for name in trial.random:
            constant = all(np.array_equal(draw[name], draws[0][name]) for draw in draws)
            subject.require(not constant, "", f"{name} is the same for eight seeds", "draws that differ")


@check(*CALLED, cure="Use TensorFlow operations on tensors of static shape; `jit_compile=True` needs them.")
def compiled_calls_agree(subject: Subject) -> None:
    """Calls compile under XLA, and results without a draw equal those of eager calls."""
    for trial in trials(subject):

        @tf.function(jit_compile=True, autograph=False)
        def compiled(seed: tf.Tensor, trial: Trial = trial) -> dict[str, tf.Tensor]:
            return outputs(trial, seed)

        # compiled draws are others, since XLA has other generators; a few codes may be equal for two seeds by chance
        eager = arrays(outputs(trial))
        drawn = {name for seed in range(1, 6) for name in different(eager, arrays(outputs(trial, seed)))}
        results = arrays(compiled(trial.context(0).seed.tensor))
        for name, expected in eager.items():
            shapes = results[name].shape == expected.shape
            subject.require(shapes, "", f"{name} has shape {results[name].shape} compiled", f"{expected.shape}")
            if name not in drawn:
                close = np.allclose(results[name], expected, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
                subject.require(
                    close, "", f"{name} is {_short(results[name])} compiled", f"{_short(expected)}, as eager"
                )


def _short(array: np.ndarray) -> str:
    return np.array2string(array.ravel()[:4], precision=4)


@check(*CALLED, cure="Make tf.functions once, in `build`; pass tensors to them instead of Python numbers.")
def calls_are_traced_once(subject: Subject) -> None:
    """A second call of the same shape traces nothing."""
    for trial in trials(subject):
        calls = 0

        @tf.function(autograph=False)
        def traced(seed: tf.Tensor, trial: Trial = trial) -> dict[str, tf.Tensor]:
            nonlocal calls
            calls += 1
            return outputs(trial, seed)

        for seed in range(2):
            traced(trial.context(seed).seed.tensor)
        subject.require(calls == 1, "", f"two calls of the same shape are traced {calls} times", "one trace")
        outputs(trial, 0)
        with graphs_traced() as graphs:
            outputs(trial, 1)
        names = ", ".join(dict.fromkeys(graphs))
        subject.require(not graphs, "", f"the second eager call traces {names}", "no new graph")


@check(*CALLED, cure="Derive seeds from `context.seed_for(purpose)`: integers in `build`, tensors in calls.")
def global_generators_are_not_used(subject: Subject) -> None:
    """Construction, `build` and calls neither read nor change Python's, NumPy's or TensorFlow's global generators."""
    results: list[Any] = []
    for seed in (1, 2):
        with Generators(seed) as generators:
            results.append([arrays(outputs(trial)) for trial in trials(subject)])
            used = generators.used()
        subject.require(not used, "", f"it draws from {', '.join(used)}", "stateless draws")
    for first, second in zip(*results, strict=True):
        changed = different(first, second)
        subject.require(not changed, "", f"{', '.join(changed)} depend on a global generator", "stateless draws")
