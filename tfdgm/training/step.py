"""The training step: one function that reads like the algorithm."""

from collections.abc import Callable, Sequence
from functools import partial

import tensorflow as tf

from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Collector, Context
from tfdgm.errors import UserError
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.model.model import Model
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw, Metrics, Pass
from tfdgm.runs.players import Player

Probe = Callable[[str, str, tf.Tensor], None]


def training_step(
    model: Model,
    players: Sequence[Player],
    draws: Sequence[Draw],
    step: tf.Tensor,
    *,
    devices: Devices,
    seed: Seed,
    shards: int,
    clip_norm: float | None,
    norms: tf.Tensor | bool = True,
    probe: Probe | None = None,
) -> Metrics:
    """Update every adversary `updates` times, then the model once.

    Args:
      model: the model, whose variables the players update.
      players: the adversaries, followed by the model.
      draws: the global batch of each update, in order; each update has a separate seed.
      step: int64 scalar, the number of this step.
      devices: compute the shards.
      seed: seed of this step.
      shards: number of parts of the global batch, each with a separate seed; gradients are averaged and statistics
        summed over them before anything is applied.
      clip_norm: bound on the global norm of the averaged gradient, or None.
      norms: whether to compute each player's metric `gradient_norm`, before clipping; else it is 0.
      probe: called with (player, name, tensor) in order of computation, for diagnosis.

    Returns:
      Metrics, scalars by name.
    """
    numbered = enumerate(draws, start=1)
    norms = tf.convert_to_tensor(norms)
    metrics: Metrics = {}
    for player in players:
        for _ in range(player.updates):
            number, draw = next(numbered)
            # The last update, the model's, is number 0, so that its seed is the same as in a run without adversaries.
            update_seed = seed.child(number % len(draws))
            run = partial(shard_pass, model, player, probe=probe)
            total = devices.total(player.name, run, draw, step, update_seed, shards, clip_norm, norms)
            player.apply(total.gradients, devices)
            player.update_statistics(total.totals, Context(update_seed, step, training=True))
            player.project()
            if probe is not None:
                for path, variable in player.variables.items():
                    probe(player.name, f"{path} after the update", raw(variable))
        total.metrics["gradient_norm"] = tf.where(norms, total.metrics["gradient_norm"], 0.0)
        prefix = "" if player is players[-1] else f"{player.name}/"
        metrics.update({prefix + name: value for name, value in total.metrics.items()})
    return metrics


def shard_pass(
    model: Model,
    player: Player,
    rows: tf.Tensor,
    positions: tf.Tensor,
    step: tf.Tensor,
    seed: Seed | tf.Tensor,
    probe: Probe | None = None,
) -> Pass:
    """Compute one player's gradients, metrics and the statistics of its own components on one shard."""
    collector = Collector()
    context = Context(seed, step, training=True, index=positions, collector=collector)
    variables = [raw(variable) for variable in player.variables.values()]
    x, context = model.observe(rows, context)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        forward = ForwardPass(model, x, context)
        loss = player.loss(forward)
        value = tf.reduce_mean(loss.value)
    gradients = tape.gradient(value, variables)
    unreached = [path for path, gradient in zip(player.variables, gradients, strict=True) if gradient is None]
    if unreached:
        raise UserError(
            f"no loss of the player {player.name!r} reaches {', '.join(unreached)}: add an objective that trains it, "
            "or make it non-trainable"
        )
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    if probe is not None:
        for name, tensor in forward.tensors().items():
            probe(player.name, name, tensor)
        probe(player.name, "the loss", value)
        for path, gradient in zip(player.variables, gradients, strict=True):
            probe(player.name, f"the gradient of {path}", gradient)
    metrics = {"loss": value} | {name: tf.reduce_mean(metric) for name, metric in loss.metrics.items()}
    own = {part: found for part, found in collector.statistics.items() if any(part is each for each in player.parts)}
    return Pass(gradients, own, metrics)
