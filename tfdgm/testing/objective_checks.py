"""Checks of objectives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import named_variables, raw, trainable
from tfdgm.contracts.context import Context
from tfdgm.contracts.objective import Loss
from tfdgm.contracts.specs import DataSpec
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.testing import partners
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.trials import BATCH, ObjectiveTrial, experiment_of, trial

#: Metrics that training adds to those of the objectives.
RESERVED = ("loss", "gradient_norm", "step")
_UPDATES = 300
_GAME_BATCH = 32
#: Updates whose losses are averaged at both ends, and the errors of these means by which the last must be lower.
_WINDOW, _MOST_ERRORS = 20, 3.0


@check("objective", cure="Return one number per example: sum over all axes but the first.")
def losses_have_one_number_per_example(subject: Subject) -> None:
    """The losses of model and adversary are `[batch]`, float32 and finite; metrics and estimates are finite."""
    require_losses(subject, trial(subject))


def require_losses(subject: Subject, tried: ObjectiveTrial, where: str = "") -> None:
    """Require losses `[batch]`, and finite metrics, estimates and scores, of an objective in one experiment."""
    forward = tried.forward(tried.context(training=True))
    context = forward.context.within("term")
    losses = {"model_loss": tried.plugin.model_loss(forward, context)}
    if tried.plugin.critic_steps:
        losses["adversary_loss"] = tried.plugin.adversary_loss(forward, forward.context)
    for method, loss in losses.items():
        subject.require(isinstance(loss, Loss), method, type(loss).__name__, "a tfdgm.Loss")
        came = f"Loss.value is {tuple(loss.value.shape)} {loss.value.dtype.name}{where}"
        good = tuple(loss.value.shape) == (BATCH,) and loss.value.dtype == tf.float32
        subject.require(good, method, came, f"({BATCH},) float32")
        for name, value in {"Loss.value": loss.value, **loss.metrics}.items():
            subject.require(np.all(np.isfinite(value)), method, f"{name} is not finite{where}", "finite numbers")
    outside = tried.forward(tried.context())
    for name, value in tried.plugin.estimates(outside, outside.context).items():
        good = tuple(value.shape) == () and np.isfinite(value)
        subject.require(good, "estimates", f"{name} is {value}{where}", "a finite scalar")
    try:
        scores = tried.plugin.scores(outside.x, outside.context)
    except NotImplementedError:
        return
    subject.require(tuple(scores.shape) == (BATCH,), "scores", f"shape {tuple(scores.shape)}{where}", f"({BATCH},)")


@check("objective", cure="Rename the metric.")
def metrics_have_names_of_their_own(subject: Subject) -> None:
    """No metric has a name that training or validation uses."""
    tried: ObjectiveTrial = trial(subject)
    forward = tried.forward(tried.context(training=True))
    metrics = dict(tried.plugin.model_loss(forward, forward.context.within("term")).metrics)
    if tried.plugin.critic_steps:
        metrics |= tried.plugin.adversary_loss(forward, forward.context).metrics
    for name in metrics:
        good = name not in RESERVED and not name.startswith("validation_") and "/" not in name
        subject.require(good, "model_loss", f"a metric is called {name!r}", f"another name than {', '.join(RESERVED)}")


@check("objective", cure="Set trains_encoder and trains_decoder to what the gradient of model_loss reaches.")
def trained_networks_are_declared(subject: Subject) -> None:
    """The gradient of `model_loss` reaches encoder and decoder as `trains_encoder` and `trains_decoder` say."""
    tried: ObjectiveTrial = trial(subject)
    forward = tried.forward(tried.context(training=True))
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_mean(tried.plugin.model_loss(forward, forward.context.within("term")).value)
    for part in ("encoder", "decoder"):
        variables = [raw(variable) for variable in getattr(tried.model, part).trainable_variables()]
        gradients = [each for each in tape.gradient(loss, variables) if each is not None]
        reached = any(bool(np.any(tf.convert_to_tensor(each).numpy())) for each in gradients)
        declared = getattr(tried.plugin, f"trains_{part}")
        came = f"it is {declared}, but the gradient {'reaches' if reached else 'does not reach'} the {part}"
        subject.require(declared == reached, f"trains_{part}", came, f"{reached}")


@check(
    "objective", cure="Set critic_steps and optimizer, and define adversary_loss; or make the variables non-trainable."
)
def variables_belong_to_an_adversary(subject: Subject) -> None:
    """An objective with trainable variables has an adversary that trains them."""
    tried: ObjectiveTrial = trial(subject)
    names = [name for name in trainable(named_variables(tried.plugin)) if not name.startswith("optimizer")]
    came = f"critic_steps is 0, so that nothing trains {', '.join(names)}"
    subject.require(not names or tried.plugin.critic_steps > 0, "", came, "an adversary, or no trainable variables")


@check("objective", cure="Check the sign of adversary_loss: the adversary minimises it.")
def adversary_learns_a_solvable_game(subject: Subject) -> None:
    """A few hundred updates of the adversary alone lower its loss, on data that anything can tell from the model."""
    if not subject.make().critic_steps:
        raise NotApplicable("it has no adversary")
    plugin = subject.make()
    shifted = DataSpec(shape=(2,), low=2.0, high=4.0)  # a new model generates near 0
    objectives = [partners.PartnerObjective(), plugin]
    built = experiment_of(
        objectives=objectives,
        data=partners.PartnerData(spec=shifted),
        decoder=partners.PartnerNetwork(hidden=True),
        batch_size=_GAME_BATCH,
    ).build()
    player = built.players[0]
    x = tf.constant(built.experiment.train.gather(np.arange(_GAME_BATCH)))
    variables = [raw(variable) for variable in player.variables.values()]

    def loss_at(seed: tf.Tensor) -> tf.Tensor:
        context = Context(seed, tf.constant(0, tf.int64), training=True, index=tf.range(_GAME_BATCH))
        return tf.reduce_mean(player.loss(ForwardPass(built.model, x, context)).value)

    @tf.function(autograph=False)
    def update(seed: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = loss_at(seed)
        player.optimizer.apply(tape.gradient(loss, variables), list(player.variables.values()))
        player.project()
        return loss

    losses = _play(update)
    first, last = losses[:_WINDOW], losses[-_WINDOW:]
    error = float(np.sqrt((first.var() + last.var()) / _WINDOW))
    came = f"{_UPDATES} updates change the loss from {first.mean():.4g} to {last.mean():.4g}, +- {error:.2g}"
    lower = last.mean() < first.mean() - _MOST_ERRORS * error
    subject.require(lower, "adversary_loss", came, f"a loss that is lower by {_MOST_ERRORS:g} standard errors")


def _play(update: Callable[[tf.Tensor], Any]) -> np.ndarray:
    seeds = np.random.RandomState(0).randint(2**31 - 1, size=(_UPDATES, 2)).astype(np.int32)
    return np.array([float(update(tf.constant(seed))) for seed in seeds])
