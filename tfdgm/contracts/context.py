"""What a component may know while it computes: the step, its seed, whether it trains, and the batch at hand."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdgm.numerics.seeds import Seed


@dataclasses.dataclass(frozen=True)
class Summed:
    """A statistic to be added up over the shards of the global batch."""

    tensor: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Concatenated:
    """A statistic whose rows are concatenated, in the order of the shards, over the global batch."""

    tensor: tf.Tensor


Statistic = Summed | Concatenated


class Collector:
    """Gathers the statistics of one pass, by component. Core code makes it; plugins call `Context.collect`."""

    def __init__(self) -> None:
        self.statistics: dict[Any, dict[str, Statistic]] = {}

    def add(self, owner: Any, statistics: dict[str, Statistic]) -> None:
        mine = self.statistics.setdefault(owner, {})
        for name, new in statistics.items():
            mine[name] = merge(mine[name], new) if name in mine else new


def merge(first: Statistic, second: Statistic) -> Statistic:
    """Two contributions to one statistic, as one."""
    if isinstance(first, Summed) and isinstance(second, Summed):
        return Summed(first.tensor + second.tensor)
    if isinstance(first, Concatenated) and isinstance(second, Concatenated):
        return Concatenated(tf.concat([first.tensor, second.tensor], axis=0))
    raise TypeError("one statistic was collected both as Summed and as Concatenated")


@dataclasses.dataclass(frozen=True)
class Context:
    """Passed to every call of a component.

    Attributes:
      seed: the stream of this step and shard; a stateless seed, int32 `[2]`, is taken as its root. Take
        `seed_for(purpose)`, one purpose per draw.
      step: int64 scalar, the number of model moves made before this one.
      training: True inside a training step.
      x: the batch `[batch, *shape]`, where there is one.
      index: int64 `[batch]`, positions of the batch in the training split; None outside training.
      infer: x -> q(z|x) as a tfd.Distribution, where the model has a posterior. On the batch itself it costs nothing.
    """

    seed: Seed
    step: tf.Tensor
    training: bool = False
    x: tf.Tensor | None = None
    index: tf.Tensor | None = None
    infer: Callable[[tf.Tensor], Any] | None = None
    collector: Collector | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.seed, Seed):
            object.__setattr__(self, "seed", Seed(self.seed))

    def seed_for(self, purpose: str) -> tf.Tensor:
        """A stateless seed for one draw; TFP's `seed=` and `tf.random.stateless_*` take it."""
        return self.seed.purpose(purpose).tensor

    def within(self, purpose: str) -> "Context":
        """The same context with a stream of seeds of its own."""
        return dataclasses.replace(self, seed=self.seed.purpose(purpose))

    def collect(self, owner: Any, **statistics: Statistic) -> None:
        """Hands statistics over, to come back once a step as totals over the global batch in `owner.update_statistics`.

        Does nothing outside training, so components call it unconditionally.
        """
        if self.collector is not None:
            self.collector.add(owner, statistics)
