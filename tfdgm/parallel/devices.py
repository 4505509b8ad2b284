"""One device, and what the training loop asks of devices of any number."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Concatenated, Summed, merge
from tfdgm.numerics.seeds import Seed

Metrics = dict[str, tf.Tensor]
Statistics = dict[Component, dict[str, Summed | Concatenated]]


@dataclasses.dataclass(frozen=True)
class Draw:
    """The global batch of one move.

    Attributes:
      positions: int32 `[batch]`, in the training split.
      rows: `[rows of this worker, *shape]` where the data is streamed; None where it lives on the devices.
    """

    positions: tf.Tensor
    rows: tf.Tensor | None


@dataclasses.dataclass(frozen=True)
class Pass:
    """What one player's pass over some rows gives.

    Attributes:
      gradients: of the mean loss, one for each of the player's variables.
      statistics: by the component that collected them.
      metrics: means over the rows, by name.
    """

    gradients: list[tf.Tensor]
    statistics: Statistics
    metrics: Metrics


#: (rows, positions, step, seed) -> what one shard gives.
ShardPass = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Seed | tf.Tensor], Pass]


@dataclasses.dataclass(frozen=True)
class Total:
    """What all shards give together: the gradient, clipped; totals of statistics; means of metrics."""

    gradients: Sequence[Any]
    totals: dict[Component, dict[str, tf.Tensor]]
    metrics: Metrics


class Devices:
    """One device: shards are processed one after the other.

    Attributes:
      num_replicas: devices that share the shards evenly.
      is_chief: whether this process writes the run's files.
      one_program: whether a whole loop of steps can be compiled as one XLA program.
    """

    num_replicas = 1
    is_chief = True
    one_program = True

    def scope(self) -> AbstractContextManager:
        """Within it variables are made for these devices, and everything that uses them runs."""
        return nullcontext()

    def use(self, variables: Sequence[Any]) -> None:
        """Tells which variables the passes read."""

    def hold(self, rows: np.ndarray) -> None:
        """Keeps all training rows where the passes are computed."""
        self.rows = tf.constant(rows)

    def share(self, size: int) -> slice:
        """The part of a global batch whose rows this process needs."""
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
        """One player's move over all shards, short of applying it.

        Args:
          name: the player's; passes of one name are one program.
          shard_pass: over the rows of one shard.
          draw: the global batch.
          step: int64 scalar, passed on.
          seed: of the move; shard s gets the s-th seed of its family.
          shards: S, parts of the global batch; the same on any number of devices, and so is the result.
          clip_norm: bound on the global norm of the gradient of the whole batch, or None.
          norm: bool scalar, whether that norm is wanted as the metric `gradient_norm`, which may be 0 elsewhere.
        """
        rows = tf.gather(self.rows, draw.positions) if draw.rows is None else draw.rows
        parts = zip(tf.split(rows, shards), tf.split(draw.positions, shards), strict=True)
        passes = [shard_pass(mine, at, step, seed.child(shard)) for shard, (mine, at) in enumerate(parts)]
        gradients, totals, metrics = reduce_passes(passes)
        if clip_norm is None:  # then the norm would be some 3 % of a small model's step
            size = tf.cond(norm, lambda: flat_norm(gradients), lambda: tf.zeros([]))
        else:
            size = tf.linalg.global_norm(gradients)
            gradients = [clipped(gradient, size, clip_norm) for gradient in gradients]
        metrics["gradient_norm"] = size
        return Total(gradients, totals, metrics)

    def apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """One step of a Keras optimizer by the gradients of `total`."""
        optimizer.apply(gradients, variables)

    def map(self, function: Callable[..., Any]) -> Callable[[Iterable[tuple]], Iterator[Any]]:
        """A function of tensors, compiled, to be called many times; the calls are shared among the devices.

        Args:
          function: reads the model's variables and otherwise only its arguments, which have the same shapes each time.

        Returns:
          From calls, a tuple of arguments each, to their results in order.
        """
        compiled = tf.function(function, jit_compile=True, autograph=False)
        return lambda calls: (compiled(*arguments) for arguments in calls)

    def all_reduce_sum(self, votes: Sequence[float]) -> list[float]:
        """Sums of what each worker says, the same on all of them."""
        return list(votes)


def flat_norm(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """The global norm of a gradient, by one sum of squares: a sum for each part takes longer to compile."""
    return tf.norm(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))


def clipped(part: tf.Tensor, norm: tf.Tensor, bound: float) -> tf.Tensor:
    """A part of a gradient whose global norm is `norm`, scaled so that the global norm is at most `bound`."""
    return part * (bound / tf.maximum(norm, bound))


def reduce_passes(passes: Sequence[Pass]) -> tuple[list[tf.Tensor], dict[Component, dict[str, tf.Tensor]], Metrics]:
    """Means of gradients and metrics, totals of statistics."""
    count = len(passes)
    gradients = [tf.add_n(list(parts)) / count for parts in zip(*(p.gradients for p in passes), strict=True)]
    metrics = {name: tf.add_n([p.metrics[name] for p in passes]) / count for name in passes[0].metrics}
    merged: Statistics = {}
    for each in passes:
        for owner, mine in each.statistics.items():
            kept = merged.setdefault(owner, {})
            for name, new in mine.items():
                kept[name] = merge(kept[name], new) if name in kept else new
    totals = {owner: {name: s.tensor for name, s in mine.items()} for owner, mine in merged.items()}
    return gradients, totals, metrics
