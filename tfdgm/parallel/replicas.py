"""Several devices, of one machine or of many, that mirror the variables and share the shards."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Concatenated, Summed
from tfdgm.contracts.substitution import substituted
from tfdgm.errors import UserError
from tfdgm.numerics.randomness import fold
from tfdgm.numerics.row_bytes import from_words, to_words
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw, Pass, ShardPass, Total, clipped


class Replicas(Devices):
    """The replicas of a tf.distribute strategy.

    Each replica computes S/N shards, one after the other, and packs their results into one vector, which a single
    all-reduce sums in every update; `Concatenated` statistics are gathered separately. Then every replica applies the
    same update.

    A pass is one XLA program with the weights as arguments: a program that captures variables cannot run on a second
    device.

    Args:
      strategy: the strategy.
      is_chief: whether this process writes the run's files.
      compiled: whether passes are compiled; eager ones give the same numbers, sooner if there are few of them.
    """

    one_program = False

    def __init__(self, strategy: tf.distribute.Strategy, is_chief: bool = True, compiled: bool = True) -> None:
        self.strategy = strategy
        self.compiled = compiled
        self.num_replicas = strategy.num_replicas_in_sync
        self.is_chief = is_chief
        self.local_replicas = len(strategy.extended.worker_devices)
        self.first_replica = int(getattr(strategy.extended, "_id_in_cluster", 0)) * self.local_replicas
        self.rows: Any = None
        self._programs: dict[str, _Program] = {}

    def scope(self) -> AbstractContextManager:
        return self.strategy.scope()

    def use(self, variables: Sequence[Any]) -> None:
        """Set the variables that the passes read.

        Raises:
          UserError: a variable is not a `keras.Variable`, so that no tensor can be substituted for it.
        """
        unsupported = [variable.name for variable in variables if not isinstance(variable, keras.Variable)]
        if unsupported:
            raise UserError(
                f"{', '.join(unsupported)}: created as tf.Variable; on several devices a plugin's variables must be "
                "keras.Variable"
            )
        self.variables = list(variables)

    def hold(self, rows: np.ndarray) -> None:
        """Keep all rows on every device, as words: workers cannot broadcast every type of numbers."""
        self.layout = tuple(rows.shape[1:]), rows.dtype
        self.rows = tf.Variable(to_words(rows), trainable=False, name="training_rows")

    def share(self, size: int) -> slice:
        each = size // self.num_replicas
        return slice(self.first_replica * each, (self.first_replica + self.local_replicas) * each)

    def _values(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(raw(variable)) for variable in self.variables]

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
        program = self._programs.setdefault(name, _Program(shard_pass, self.variables, self.compiled))
        own_shards = shards // self.num_replicas
        size = draw.positions.shape[0] // shards
        update_seed = seed.tensor

        def replica(positions: tf.Tensor, rows: tf.Tensor | None) -> tuple[Any, ...]:
            context = tf.distribute.get_replica_context()
            first = tf.cast(context.replica_id_in_sync_group, tf.int32) * own_shards
            values, parts = self._values(), []
            for number in range(own_shards):
                shard = first + number
                at = tf.slice(positions, [shard * size], [size])
                if rows is None:
                    own = from_words(tf.gather(tf.convert_to_tensor(self.rows), at), *self.layout)
                else:
                    begin = (shard - self.first_replica * own_shards) * size
                    own = tf.slice(rows, [begin, *[0] * (rows.shape.rank - 1)], [size, *rows.shape[1:]])
                parts.append(program(values, own, at, step, fold(update_seed, shard)))
            vector = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.add_n([part[0] for part in parts]))
            gathered = [
                context.all_gather(tf.concat(list(blocks), axis=0), axis=0)
                for blocks in zip(*(part[1] for part in parts), strict=True)
            ]
            gradient, statistics, metrics = tf.split(vector, program.lengths)
            gradient, metrics = gradient / shards, metrics / shards
            gradient_norm = tf.norm(gradient)
            if clip_norm is not None:
                gradient = clipped(gradient, gradient_norm, clip_norm)
            return (
                tuple(program.unpack(gradient, program.gradient_shapes)),
                statistics,
                metrics,
                gradient_norm,
                tuple(gathered),
            )

        gradients, *rest = self.strategy.run(replica, args=(draw.positions, draw.rows))
        statistics, metrics, gradient_norm, gathered = tf.nest.map_structure(self._local, tuple(rest))
        means = dict(zip(program.metric_names, tf.unstack(metrics, len(program.metric_names)), strict=True))
        means["gradient_norm"] = gradient_norm
        return Total(list(gradients), program.totals(statistics, gathered), means)

    def _local(self, value: Any) -> tf.Tensor:
        """Return the value on this process's first replica."""
        return self.strategy.experimental_local_results(value)[0]

    def apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        optimizer._all_reduce_sum_gradients = list  # Keras would sum the sums over the replicas again

        def replica(gradients: list[tf.Tensor]) -> None:
            optimizer.apply(gradients, variables)

        self.strategy.run(replica, args=(list(gradients),))

    def map(self, function: Callable[..., Any]) -> Callable[[Iterable[tuple]], Iterator[Any]]:
        def with_values(values: list[tf.Tensor], *arguments: tf.Tensor) -> Any:
            with substituted(self.variables, values):
                return function(*arguments)

        compiled = tf.function(with_values, jit_compile=True, autograph=False)

        def run(calls: Iterable[tuple]) -> Iterator[Any]:
            waiting = iter(calls)
            while batch := list(itertools.islice(waiting, self.num_replicas)):
                flat = [tuple(tf.nest.flatten(call)) for call in batch]
                yield from self._round(partial(_structured, compiled, batch[0]), flat)

        return run

    def _round(self, compiled: Callable[..., Any], batch: list[tuple]) -> list[Any]:
        """Run at most one call on each replica; the others repeat the last one, since gathering waits for all."""

        def argument(position: int) -> Any:
            def of_replica(context: Any) -> tf.Tensor:
                return tf.convert_to_tensor(batch[min(context.replica_id_in_sync_group, len(batch) - 1)][position])

            return self.strategy.experimental_distribute_values_from_function(of_replica)

        def replica(*arguments: tf.Tensor) -> Any:
            return compiled(self._values(), *arguments)

        results = self.strategy.run(replica, args=tuple(argument(position) for position in range(len(batch[0]))))
        if self.local_replicas == self.num_replicas:
            found = tf.nest.map_structure(self.strategy.experimental_local_results, results)
        else:
            found = tf.nest.map_structure(self._from_all, results)
        return [_member(found, number) for number in range(len(batch))]

    def _from_all(self, value: Any) -> tuple[tf.Tensor, ...]:
        """Return the results of all replicas, on every worker."""
        expanded = self.strategy.run(lambda tensor: tf.expand_dims(tensor, 0), args=(value,))
        return tuple(tf.unstack(self.strategy.gather(expanded, axis=0)))

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        if self.local_replicas == self.num_replicas:
            return list(values)
        total = self._local(self._sum(tf.constant(list(values), tf.float64)))  # float32 would round large steps
        return [float(value) / self.local_replicas for value in total.numpy()]

    @cached_property
    def _sum(self) -> Callable[[tf.Tensor], Any]:
        """The function that sums a tensor over all replicas."""

        def replica(values: tf.Tensor) -> tf.Tensor:
            local = tf.identity(values)  # an argument has no device yet
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, local)

        return tf.function(lambda values: self.strategy.run(replica, args=(values,)), autograph=False)


def _structured(function: Callable[..., Any], like: tuple, values: list[tf.Tensor], *flat: tf.Tensor) -> Any:
    """Call a function of (values, *arguments) with arguments that have the structure of `like`."""
    return function(values, *tf.nest.pack_sequence_as(like, list(flat)))


def _member(found: Any, number: int) -> Any:
    """Return the result of replica `number` from a structure whose leaves are tuples of all replicas' results."""
    if isinstance(found, dict):
        return {name: _member(inner, number) for name, inner in found.items()}
    if isinstance(found, tuple) and not isinstance(found[0], tf.Tensor):
        return tuple(_member(inner, number) for inner in found)
    return found[number]


class _Program:
    """One shard's pass as an XLA program from the weights and the rows to one vector, and rows to be gathered.

    The vector holds the gradients, then the `Summed` statistics, then the metrics. Tracing the program sets the layout.
    """

    def __init__(self, shard_pass: ShardPass, variables: Sequence[keras.Variable], compiled: bool) -> None:
        self.shard_pass = shard_pass
        self.variables = variables
        self._run = tf.function(self._flat, jit_compile=True, autograph=False) if compiled else self._flat

    def __call__(self, values: list[tf.Tensor], *arguments: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        return self._run(values, *arguments)

    def _flat(self, values: list[tf.Tensor], *arguments: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with substituted(self.variables, values):
            result: Pass = self.shard_pass(*arguments)
        named = [(owner, name, s) for owner, by_name in result.statistics.items() for name, s in by_name.items()]
        summed = [(owner, name, s.tensor) for owner, name, s in named if isinstance(s, Summed)]
        gathered = [(owner, name, s.tensor) for owner, name, s in named if isinstance(s, Concatenated)]
        self.gradient_shapes = [tuple(gradient.shape) for gradient in result.gradients]
        self.summed = [(owner, name, tuple(tensor.shape), tensor.dtype) for owner, name, tensor in summed]
        self.gathered = [(owner, name) for owner, name, _ in gathered]
        self.metric_names = list(result.metrics)
        sections = [result.gradients, [tensor for _, _, tensor in summed], list(result.metrics.values())]
        self.lengths = [sum(math.prod(tensor.shape) for tensor in section) for section in sections]
        flat = [tf.reshape(tf.cast(tensor, tf.float32), [-1]) for section in sections for tensor in section]
        return tf.concat(flat, axis=0), [tensor for _, _, tensor in gathered]

    @staticmethod
    def unpack(vector: tf.Tensor, shapes: Sequence[tuple[int, ...]]) -> list[tf.Tensor]:
        """Split a vector into tensors of these shapes."""
        pieces = tf.split(vector, tf.constant([math.prod(shape) for shape in shapes], tf.int32)) if shapes else []
        return [tf.reshape(piece, shape) for piece, shape in zip(pieces, shapes, strict=True)]

    def totals(self, statistics: tf.Tensor, gathered: Sequence[tf.Tensor]) -> dict[Any, dict[str, tf.Tensor]]:
        """Return the totals of the statistics, by component and name."""
        found: dict[Any, dict[str, tf.Tensor]] = {}
        pieces = self.unpack(statistics, [shape for _, _, shape, _ in self.summed])
        for (owner, name, _, dtype), piece in zip(self.summed, pieces, strict=True):
            found.setdefault(owner, {})[name] = tf.cast(piece, dtype)
        for (owner, name), rows in zip(self.gathered, gathered, strict=True):
            found.setdefault(owner, {})[name] = rows
        return found
