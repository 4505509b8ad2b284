"""The compiled inner loop: a static number of steps as one XLA program, or a graph loop over compiled parts."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdgm.numerics.seeds import Seed, SeedPlan
from tfdgm.parallel.devices import Draw

Step = Callable[[list[Draw], tf.Tensor, Seed, tf.Tensor], dict[str, tf.Tensor]]

#: Metrics with this suffix are computed in the last step of a loop only, and are 0 in the others.
OF_LAST_STEP = "gradient_norm"


class Loop:
    """Runs `step` a fixed number of times per call.

    One program is compiled for each number of steps; the trip count is a Python integer, since XLA would compile again
    for each value of a tensor. On a CPU a step with convolutions is a separate program, which a graph loop calls: XLA
    does not use its fast convolutions inside the body of a loop there (JAX issue 12868; 111 ms instead of 4 ms for one
    of 3 x 3 with 64 channels on 32 images of 8 x 8). With several replicas the graph loop calls their programs.

    Args:
      step: (draws, number of the step, its seed, whether it is the last) -> metrics.
      counter: int64 variable, the number of steps taken; advanced by each call.
      seeds: the seeds of all steps.
      draws_per_step: number of batches in one step.
      one_program: whether the whole loop may be one XLA program.
    """

    def __init__(
        self, step: Step, counter: tf.Variable, seeds: SeedPlan, draws_per_step: int, one_program: bool = True
    ) -> None:
        self.step = step
        self.counter = counter
        self.seeds = seeds
        self.draws_per_step = draws_per_step
        self.one_program = one_program
        self._compiled: dict[int, Callable[..., tf.Tensor]] = {}
        self.names: list[str] = []

    def __call__(self, count: int, positions: tf.Tensor, rows: tf.Tensor | None = None) -> dict[str, float]:
        """Take `count` steps.

        Args:
          count: number of steps.
          positions: int32 `[count * draws_per_step, batch]`.
          rows: `[count * draws_per_step, rows of this worker, *shape]` if the data is streamed, else None.

        Returns:
          The metrics, averaged over the steps; those with the suffix `OF_LAST_STEP` are of the last step.
        """
        arguments = [positions] if rows is None else [positions, rows]
        if count not in self._compiled:
            self._compiled[count] = self._compile(count, *arguments)
        seeds = self.seeds.seeds(int(self.counter.numpy()), count)
        means = self._compiled[count](tf.constant(seeds), *arguments).numpy()
        return {name: float(mean) for name, mean in zip(self.names, means, strict=True)}

    def _compile(self, count: int, *arguments: tf.Tensor) -> Callable[..., tf.Tensor]:
        batch_specs = [tf.TensorSpec(tensor.shape[1:], tensor.dtype) for tensor in arguments]
        per_step = [
            tf.TensorSpec([self.draws_per_step, *spec.shape], spec.dtype)  # type: ignore[misc]
            for spec in batch_specs
        ]

        # Traced separately first: the loop must know the number of metrics before it begins.
        def one_step(
            number: tf.Tensor, last: tf.Tensor, seeds: tf.Tensor, positions: tf.Tensor, *rows: tf.Tensor
        ) -> tf.Tensor:
            draws = [Draw(positions[d], rows[0][d] if rows else None) for d in range(self.draws_per_step)]
            metrics = self.step(draws, number, self.seeds.step_seed(seeds), last)
            self.names = list(metrics)
            return tf.stack([tf.cast(metric, tf.float32) for metric in metrics.values()])

        scalars = tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.bool)
        table = tf.TensorSpec([None, 2], tf.int32)  # tracing the step determines how many seeds it reads
        traced = tf.function(one_step, autograph=False).get_concrete_function(*scalars, table, *per_step)

        on_cpu = all(device.device_type == "CPU" for device in tf.config.list_logical_devices())
        apart = self.one_program and on_cpu and convolves(traced)
        step = tf.function(one_step, jit_compile=True, autograph=False) if apart else traced

        @tf.function(jit_compile=self.one_program and not apart, autograph=False)
        def many_steps(seeds: tf.Tensor, *blocks: tf.Tensor) -> tf.Tensor:
            first = self.counter.read_value()

            by_step = [tf.reshape(block, [count, *spec.shape]) for block, spec in zip(blocks, per_step, strict=True)]

            def body(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                own = [tf.gather(block, i) for block in (seeds, *by_step)]
                return i + 1, total + step(first + tf.cast(i, tf.int64), tf.equal(i, count - 1), *own)

            start = (tf.constant(0), tf.zeros([len(self.names)]))
            _, total = tf.while_loop(lambda i, _: i < count, body, start, maximum_iterations=count)
            self.counter.assign_add(count)
            return total / [1.0 if name.endswith(OF_LAST_STEP) else float(count) for name in self.names]

        return many_steps


def convolves(function: Any) -> bool:
    """Return whether a traced function contains a convolution."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return any("Conv" in node.op for node in nodes)
