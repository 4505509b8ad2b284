"""Checks with a condition y: of parts in runs with labels and with condition vectors, and of the conditions of data."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import raw
from tfdgm.contracts.condition import ConditionSpec
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Data, evenly
from tfdgm.contracts.prior import Prior
from tfdgm.contracts.specs import BuildContext, DataSpec, LatentSpec
from tfdgm.errors import UserError
from tfdgm.testing import partners
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.network_checks import SHAPES
from tfdgm.testing.objective_checks import require_losses
from tfdgm.testing.posterior_checks import require_shapes
from tfdgm.testing.trials import (
    BATCH,
    ObjectiveTrial,
    PosteriorTrial,
    PriorTrial,
    Trial,
    build_context,
    normal,
    stream,
    trials,
)

CONDITIONS = {"labels": ConditionSpec(categories=3), "condition vectors": ConditionSpec(size=2)}
#: Sources of more rows than this are checked at evenly spaced ones.
_MOST_ROWS = 65_536


@check("network", cure="Read context.y in __call__, or set conditional = False.")
def network_reads_its_condition(subject: Subject) -> None:
    """A network that declares `conditional` has outputs of the right shape that depend on y, each on its own y."""
    if not subject.make().conditional:
        raise NotApplicable("it is not conditional")
    refused: UserError | None = None
    tried = 0
    for kind, condition in CONDITIONS.items():
        for role, (data, source, target) in SHAPES.items():
            network, context = subject.make(), _build_context(data, condition)
            try:
                network.build(source, target, context)
            except UserError as error:
                refused = error
                continue
            tried += 1
            _unsettle(network)
            for count in (1, BATCH, 0):
                outputs = network(normal(count, *source), _with(condition, count))
                came = f"{tuple(outputs.shape)} {outputs.dtype.name} as {role} with {kind}"
                good = tuple(outputs.shape) == (count, *target) and outputs.dtype == tf.float32
                subject.require(good, "__call__", came, f"{(count, *target)} float32")
            x = tf.tile(normal(1, *source), [BATCH, *[1] * len(source)])
            where = f"as {role} with {kind}"
            _require_dependence(subject, "__call__", where, functools.partial(network, x), condition)
    if not tried and refused is not None:
        raise refused


@check("prior", cure="Return p(z|y) with batch shape [batch], a row for each row of context.y; or conditional = False.")
def prior_reads_its_condition(subject: Subject) -> None:
    """A prior that declares `conditional` has batch shape `[batch]` and depends on y, each row on its own y."""
    if not subject.make().conditional:
        raise NotApplicable("it is not conditional")
    for kind, trial in _conditioned(subject):
        assert isinstance(trial, PriorTrial)
        condition = trial.model.condition
        assert condition is not None
        _unsettle(trial.plugin)
        method = f"distribution with {kind}"
        event = tuple(trial.model.prior_distribution(trial.context()).event_shape)
        p = trial.plugin.distribution(trial.context().within("prior"))
        subject.require(tuple(p.batch_shape) == (BATCH,), method, f"batch shape {tuple(p.batch_shape)}", f"({BATCH},)")
        shape, wanted = tuple(p.sample(2, seed=trial.context().seed_for("z")).shape), (2, BATCH, *event)
        subject.require(shape == wanted, method, f"draws {shape}", f"{wanted}")
        same = tf.tile(trial.values_of_z(1), [BATCH, *[1] * len(event)])
        outputs = functools.partial(_log_prob, trial.plugin, same)
        _require_dependence(subject, "distribution", f"log p(z|y) with {kind}", outputs, condition)


@check("posterior", cure="Give every tensor the batch of the features; context.y has a row for each of them.")
def posterior_accepts_a_condition(subject: Subject) -> None:
    """In a run with a condition, q(z|x, y), the value, z, losses and relaxed codes have the shapes of `latent_spec`."""
    for kind, trial in _conditioned(subject):
        assert isinstance(trial, PosteriorTrial)
        for training in (False, True):
            context = trial.context(training=training)
            require_shapes(subject, trial, trial.plugin(trial.features(), context), BATCH, f" with {kind}")


@check("objective", cure="Return one number per example also where context.y has a row for each of them.")
def objective_accepts_a_condition(subject: Subject) -> None:
    """In a run with a condition, losses are `[batch]`, float32 and finite; metrics and estimates are finite."""
    for kind, trial in _conditioned(subject):
        assert isinstance(trial, ObjectiveTrial)
        require_losses(subject, trial, f" with {kind}")


@check("data", cure="Return y of the rows asked for, in their order, of the shape and range that spec.condition names.")
def conditions_fit_the_spec(subject: Subject) -> None:
    """Where the spec has a condition, every split has labels in 0..K-1 or finite vectors, the same in any order."""
    data: Data = subject.make()
    condition = data.spec.condition
    if condition is None:
        raise NotApplicable("its spec has no condition")
    named = len(condition.names)
    subject.require(named in (0, condition.width), "spec.condition", f"{named} names", f"none, or {condition.width}")
    for name, source in data.splits().items():
        where = f"splits()[{name!r}].conditions"
        positions = evenly(len(source), min(len(source), _MOST_ROWS))
        y = np.asarray(source.conditions(positions))
        wanted = (len(positions), *condition.shape)
        subject.require(y.shape == wanted, where, f"shape {y.shape}", f"{wanted}")
        if condition.categories is not None:
            subject.require(y.dtype.kind in "iu", where, f"labels are {y.dtype}", "integers")
            inside = np.all((y >= 0) & (y < condition.categories))
            subject.require(
                inside, where, f"labels in {y.min()}..{y.max()}", f"labels in 0..{condition.categories - 1}"
            )
        else:
            subject.require(y.dtype.kind in "iuf", where, f"vectors of {y.dtype}", "numbers")
            subject.require(np.all(np.isfinite(y)), where, "NaN or infinity", "finite numbers")
        order = np.random.RandomState(0).permutation(len(positions))
        again = np.asarray(source.conditions(positions[order]))
        subject.require(np.array_equal(again, y[order]), where, "other values in another order", "those of the rows")


def _log_prob(prior: Prior, z: tf.Tensor, context: Context) -> tf.Tensor:
    return prior.distribution(context).log_prob(z)


def _conditioned(subject: Subject) -> Iterator[tuple[str, Trial]]:
    """Yield the plugin in runs with labels and with condition vectors, as far as it accepts them.

    Raises:
      NotApplicable: it refuses both; the message is its reason.
    """
    refused: UserError | None = None
    accepted = 0
    for kind, condition in CONDITIONS.items():
        data = partners.PartnerData(spec=DataSpec(shape=(2,), condition=condition))
        try:
            found = trials(subject, data=data, condition=True)
        except UserError as error:
            refused = error
            continue
        accepted += 1
        yield from ((kind, trial) for trial in found)
    if not accepted:
        raise NotApplicable(f"it accepts no condition: {refused}")


def _build_context(data: DataSpec, condition: ConditionSpec) -> BuildContext:
    y = partners.conditions_of(condition, partners.NUM_ROWS)
    return dataclasses.replace(
        build_context(data, LatentSpec(size=2)), condition=condition, train_conditions=lambda indices: y[indices]
    )


def _with(condition: ConditionSpec, count: int) -> Context:
    """Return a context outside training with the first conditions."""
    y = tf.constant(partners.conditions_of(condition, count))
    return Context(stream(), tf.constant(0, tf.int64), y=y)


def _unsettle(plugin: Any) -> None:
    """Move the weights away from their start, where an initialiser of zeros may hide the condition."""
    random = np.random.RandomState(0)
    for variable in map(raw, plugin.trainable_variables()):
        variable.assign_add(tf.constant(0.1 * random.standard_normal(variable.shape), variable.dtype))


def _require_dependence(
    subject: Subject, method: str, where: str, outputs: Callable[[Context], tf.Tensor], condition: ConditionSpec
) -> None:
    """Require that rows with equal arguments differ by their y, and that each reads its own y only."""
    context = _with(condition, BATCH)
    assert context.y is not None
    rows = np.asarray(outputs(context))
    apart = float(np.max(np.abs(rows - rows[:1])))
    subject.require(apart > 1e-6, method, f"{where}: the same for every y", "a dependence on context.y")
    equal = np.asarray(outputs(dataclasses.replace(context, y=tf.repeat(context.y[:1], BATCH, axis=0))))
    close = np.allclose(equal, np.repeat(rows[:1], BATCH, axis=0), rtol=1e-4, atol=1e-5)  # float32
    subject.require(close, method, f"{where}: a row depends on the y of other rows", "each row on its own y")
