"""One device, and the interface of any number of devices to the training loop."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Concatenated, Summed, merge
from tfdgm.errors import UserError
from tfdgm.numerics.seeds import Seed

Metrics = dict[str, tf.Tensor]
Statistics = dict[Component, dict[str, Summed | Concatenated]]


@dataclasses.dataclass(frozen=True)
class Draw:
    """The global batch of one update of a player.

    Attributes:
      positions: int32 `[batch]`, in the training split.
      rows: `[rows of this worker, *shape]` if the data is streamed; None if it resides on the devices.
    """

    positions: tf.Tensor
    rows: tf.Tensor | None


@dataclasses.dataclass(frozen=True)
class Pass:
    """The result of one player's pass over some rows.

    Attributes:
      gradients: gradient of the mean loss with respect to each of the player's variables.
      statistics: by the component that collected them.
      metrics: means over the rows, by name.
    """

    gradients: list[tf.Tensor]
    statistics: Statistics
    metrics: Metrics


#: (rows, positions, step, seed) -> the result of one shard.
ShardPass = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Seed | tf.Tensor], Pass]


@dataclasses.dataclass(frozen=True)
class Total:
    """The result of all shards: the clipped mean gradient, totals of statistics, means of metrics."""

    gradients: Sequence[Any]
    totals: dict[Component, dict[str, tf.Tensor]]
    metrics: Metrics


class Devices:
    """One device, which processes the shards one after the other.

    Attributes:
      num_replicas: number of devices, which get equal numbers of shards.
      is_chief: whether this process writes the run's files.
      one_program: whether a whole loop of steps can be compiled as one XLA program.
    """

    num_replicas = 1
    is_chief = True
    one_program = True

    def scope(self) -> AbstractContextManager:
        """Return the context in which to create and use variables on these devices."""
        return nullcontext()

    def use(self, variables: Sequence[Any]) -> None:
        """Set the variables that the passes read."""

    def hold(self, rows: np.ndarray) -> None:
        """Keep all training rows on the devices."""
        self.rows = tf.constant(rows)

    def share(self, size: int) -> slice:
        """Return the part of a global batch whose rows this process needs."""
        return slice(0, size)

    def total(
        self,
        name: str,
        shard_pass: ShardPass,
        draw: Draw,
        step: tf.Tensor,
        seed: Seed,
        shards: int,
        clip_norm: float | None,
        norm: tf.Tensor,
    ) -> Total:
        """Compute one update of a player from all shards, without applying it.

        The result depends on the number of shards and not on the number of devices.

        Args:
          name: the player's name; passes with the same name share one program.
          shard_pass: computes the pass over one shard.
          draw: the global batch.
          step: int64 scalar, passed to `shard_pass`.
          seed: seed of the update; shard s gets its s-th child.
          shards: S, number of parts of the global batch.
          clip_norm: bound on the global norm of the gradient of the whole batch, or None.
          norm: bool scalar, whether to compute that norm as the metric `gradient_norm`, which may be 0 otherwise.
        """
        rows = tf.gather(self.rows, draw.positions) if draw.rows is None else draw.rows
        parts = zip(tf.split(rows, shards), tf.split(draw.positions, shards), strict=True)
        passes = [shard_pass(own, at, step, seed.child(shard)) for shard, (own, at) in enumerate(parts)]
        gradients, totals, metrics = reduce_passes(passes)
        if clip_norm is None:  # the norm takes some 3 % of a small model's step
            size = tf.cond(norm, lambda: flat_norm(gradients), lambda: tf.zeros([]))
        else:
            size = tf.linalg.global_norm(gradients)
            gradients = [clipped(gradient, size, clip_norm) for gradient in gradients]
        metrics["gradient_norm"] = size
        return Total(gradients, totals, metrics)

    def apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """Take one step of a Keras optimizer with the gradients of `total`."""
        optimizer.apply(gradients, variables)

    def map(self, function: Callable[..., Any]) -> Callable[[Iterable[tuple]], Iterator[Any]]:
        """Compile a function of tensors for many calls, which the devices share.

        Args:
          function: depends on the model's variables and on its arguments, whose shapes are the same in every call.

        Returns:
          A function from an iterable of calls, each a tuple of arguments, to their results in order.
        """
        compiled = tf.function(function, jit_compile=True, autograph=False)
        return lambda calls: (compiled(*arguments) for arguments in calls)

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        """Return the sum over the workers of each value."""
        return list(values)


def flat_norm(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the global norm of a gradient by one sum of squares; one sum for each part takes longer to compile."""
    return tf.norm(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))


def clipped(part: tf.Tensor, norm: tf.Tensor, bound: float) -> tf.Tensor:
    """Scale a part of a gradient with global norm `norm` so that the global norm is at most `bound`."""
    return part * (bound / tf.maximum(norm, bound))


def reduce_passes(passes: Sequence[Pass]) -> tuple[list[tf.Tensor], dict[Component, dict[str, tf.Tensor]], Metrics]:
    """Return the means of gradients, the totals of statistics and the means of metrics."""
    count = len(passes)
    gradients = [tf.add_n(list(parts)) / count for parts in zip(*(p.gradients for p in passes), strict=True)]
    metrics = {name: tf.add_n([p.metrics[name] for p in passes]) / count for name in passes[0].metrics}
    merged: Statistics = {}
    for each in passes:
        for owner, statistics in each.statistics.items():
            collected = merged.setdefault(owner, {})
            for name, new in statistics.items():
                collected[name] = merge(collected[name], new) if name in collected else new
    totals = {owner: {name: s.tensor for name, s in by_name.items()} for owner, by_name in merged.items()}
    return gradients, totals, metrics


def check_shards(shards: int, batch_size: int, replicas: int) -> None:
    """Check that the devices divide the shards, and the shards the batch.

    Raises:
      UserError: they do not.
    """
    if shards % replicas:
        raise UserError(
            f"{replicas} devices cannot share {shards} shard(s) evenly; use a number of devices that divides it "
            "(experiment.shards is fixed when a run begins)"
        )
    if batch_size % shards:
        raise UserError(
            f"experiment.batch_size {batch_size} is not divisible by {shards} shards, one for each device; "
            "set experiment.shards or another batch size"
        )
