"""The context of a component's call: step, seed, mode and batch."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdgm.numerics.seeds import Seed


@dataclasses.dataclass(frozen=True)
class Summed:
    """A statistic to be summed over the shards of the global batch."""

    tensor: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Concatenated:
    """A statistic whose rows are concatenated, in the order of the shards, over the global batch."""

    tensor: tf.Tensor


Statistic = Summed | Concatenated


class Collector:
    """Gathers the statistics of one pass, by component. The core creates it; plugins call `Context.collect`."""

    def __init__(self) -> None:
        self.statistics: dict[Any, dict[str, Statistic]] = {}

    def add(self, owner: Any, statistics: dict[str, Statistic]) -> None:
        collected = self.statistics.setdefault(owner, {})
        for name, new in statistics.items():
            collected[name] = merge(collected[name], new) if name in collected else new


def merge(first: Statistic, second: Statistic) -> Statistic:
    """Combine two contributions to one statistic."""
    if isinstance(first, Summed) and isinstance(second, Summed):
        return Summed(first.tensor + second.tensor)
    if isinstance(first, Concatenated) and isinstance(second, Concatenated):
        return Concatenated(tf.concat([first.tensor, second.tensor], axis=0))
    raise TypeError("one statistic was collected both as Summed and as Concatenated")


@dataclasses.dataclass(frozen=True)
class Context:
    """Passed to every call of a component.

    Attributes:
      seed: the stream of seeds of this step and shard, or its root, a stateless seed int32 `[2]`. Draw with
        `seed_for(purpose)`, one purpose per draw.
      step: int64 scalar, the number of model updates before this one.
      training: True inside a training step.
      x: the batch `[batch, *shape]`, or None if there is none.
      y: the condition of every example or draw of this call, int32 labels `[batch]` or float32 vectors `[batch, c]`;
        None in a run without `experiment.condition`.
      index: int32 `[batch]`, positions of the batch in the training split; None outside training.
      infer: x -> q(z|x) as a tfd.Distribution; None in a model without a posterior. It costs nothing on the batch
        itself. In a run with a condition, `infer(x, y)` for any other x.
      collector: receives the statistics of `collect`; None outside training.
    """

    seed: Seed
    step: tf.Tensor
    training: bool = False
    x: tf.Tensor | None = None
    y: tf.Tensor | None = None
    index: tf.Tensor | None = None
    infer: Callable[..., Any] | None = None
    collector: Collector | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.seed, Seed):
            object.__setattr__(self, "seed", Seed(self.seed))

    def seed_for(self, purpose: str) -> tf.Tensor:
        """Return a stateless seed, int32 `[2]`, for TFP's `seed=` and `tf.random.stateless_*`."""
        return self.seed.purpose(purpose).tensor

    def within(self, purpose: str) -> "Context":
        """Return the same context with a separate stream of seeds."""
        return dataclasses.replace(self, seed=self.seed.purpose(purpose))

    def collect(self, owner: Any, **statistics: Statistic) -> None:
        """Submit statistics, whose totals over the global batch `owner.update_statistics` receives once a step.

        Does nothing outside training, so that components can call it unconditionally.
        """
        if self.collector is not None:
            self.collector.add(owner, statistics)
