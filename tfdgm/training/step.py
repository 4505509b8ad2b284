"""The training step: one function that reads like the algorithm."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Collector, Concatenated, Context, Summed, merge
from tfdgm.errors import UserError
from tfdgm.model import Forward, Model
from tfdgm.randomness import fold
from tfdgm.training.players import Player

Metrics = dict[str, tf.Tensor]
Probe = Callable[[str, str, tf.Tensor], None]


def training_step(
    model: Model,
    players: Sequence[Player],
    draws: Sequence[tuple[tf.Tensor, tf.Tensor]],
    step: tf.Tensor,
    *,
    seed: tf.Tensor,
    shards: int,
    clip_norm: float | None,
    probe: Probe | None = None,
) -> Metrics:
    """Every adversary moves `moves` times, then the model once.

    Args:
      model: all variables live here and in the players.
      players: the adversaries, the model last.
      draws: (rows `[batch, *shape]`, positions `[batch]`) for each move, in order.
      step: int64 scalar, the number of this step.
      seed: the seed of all training draws, int32 `[2]`.
      shards: the global batch is split in so many parts, each with a seed of its own; gradients are averaged and
        statistics totalled over them before anything is applied.
      clip_norm: bound on the global norm of the averaged gradient, or None.
      probe: called with (player, what, tensor) in the order of computation; for diagnosis.

    Returns:
      Scalars by name.
    """
    remaining = iter(draws)
    step_seed = fold(seed, step)
    metrics: Metrics = {}
    for player in players:
        for move in range(player.moves):
            rows, positions = next(remaining)
            move_seed = fold(step_seed, move)
            passes = [
                shard_pass(model, player, shard_rows, shard_positions, step, fold(move_seed, shard), probe)
                for shard, (shard_rows, shard_positions) in enumerate(
                    zip(tf.split(rows, shards), tf.split(positions, shards), strict=True)
                )
            ]
            gradients, totals, means = reduce_shards(passes)
            if clip_norm is not None:
                gradients, norm = tf.clip_by_global_norm(gradients, clip_norm)
                means["gradient_norm"] = norm
            player.apply(gradients)
            player.absorb(totals, Context(move_seed, step, training=True))
            player.project()
            if probe is not None:
                for path, variable in player.variables.items():
                    probe(player.name, f"{path} after the update", raw(variable))
        prefix = "" if player is players[-1] else f"{player.name}/"
        metrics.update({prefix + name: value for name, value in means.items()})
    return metrics


def shard_pass(
    model: Model,
    player: Player,
    rows: tf.Tensor,
    positions: tf.Tensor,
    step: tf.Tensor,
    seed: tf.Tensor,
    probe: Probe | None,
) -> tuple[list[tf.Tensor], dict[Any, Any], Metrics]:
    """Gradients, statistics and metrics of one player on one shard."""
    collector = Collector()
    context = Context(seed, step, training=True, index=positions, collector=collector)
    variables = [raw(variable) for variable in player.variables.values()]
    x = model.data.observe(rows, context.within("observe"))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        forward = Forward(model, x, context)
        loss = player.loss(forward)
        value = tf.reduce_mean(loss.value)
    gradients = tape.gradient(value, variables)
    unreached = [path for path, gradient in zip(player.variables, gradients, strict=True) if gradient is None]
    if unreached:
        raise UserError(
            f"no loss of the player {player.name!r} reaches {', '.join(unreached)}: add an objective that trains it, "
            "or make it untrainable"
        )
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    if probe is not None:
        for name, tensor in forward.tensors().items():
            probe(player.name, name, tensor)
        probe(player.name, "the loss", value)
        for path, gradient in zip(player.variables, gradients, strict=True):
            probe(player.name, f"the gradient of {path}", gradient)
    metrics = {"loss": value} | {name: tf.reduce_mean(metric) for name, metric in loss.metrics.items()}
    return gradients, collector.statistics, metrics


def reduce_shards(
    passes: Sequence[tuple[list[tf.Tensor], dict[Any, Any], Metrics]],
) -> tuple[list[tf.Tensor], dict[Any, dict[str, tf.Tensor]], Metrics]:
    """Means of gradients and metrics, totals of statistics."""
    count = len(passes)
    gradients = [tf.add_n(list(parts)) / count for parts in zip(*(p[0] for p in passes), strict=True)]
    metrics = {name: tf.add_n([p[2][name] for p in passes]) / count for name in passes[0][2]}
    merged: dict[Any, dict[str, Summed | Concatenated]] = {}
    for _, statistics, _ in passes:
        for owner, mine in statistics.items():
            kept = merged.setdefault(owner, {})
            for name, new in mine.items():
                kept[name] = merge(kept[name], new) if name in kept else new
    totals = {owner: {name: s.tensor for name, s in mine.items()} for owner, mine in merged.items()}
    return gradients, totals, metrics
