"""What several devices cost: time of a step on one, beside the same step through a strategy of one replica; and what
they exchange in a step.

  python tools/benchmark_distribution.py [--rounds=11] [--gin_file=digits/vae.gin]

The loops take turns in one process. A strategy of one replica computes what one device computes, so what it takes more
is the cost of its machinery: the step is then a graph that calls a compiled pass, not one program with its loop.
(`experiment.strategy` itself gives one replica the program of one device.)
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import tensorflow as tf
from turns import Loop, report_turns

from tfdgm.configuration.resolve import read_config
from tfdgm.parallel.devices import Devices
from tfdgm.parallel.replicas import Replicas
from tfdgm.training.trainer import Trainer

#: Bytes a second that one device sends in a ring, and what a collective takes besides.
LINKS = {"NVLink 4, 8 GPUs of one machine": (8, 450e9, 10e-6), "100 Gbit/s, 256 GPUs": (256, 12.5e9, 50e-6)}


def loop_on(devices: Devices, gin_file: str, steps: int, workdir: Path) -> tuple[Loop, Trainer]:
    with devices.scope():
        built = read_config([gin_file], ["experiment.shards = 1"]).experiment().build(devices)
        trainer = Trainer(built, workdir, print)

    def loop(positions: np.ndarray) -> float:
        with devices.scope():
            return trainer.loop(steps, tf.constant(positions))["loss"]

    return loop, trainer


def collectives(trainer: Trainer, trace: Callable[[], None]) -> list[int]:
    """Bytes of each all-reduce and all-gather of one step, as it is traced."""
    sizes: list[int] = []
    context = tf.distribute.ReplicaContext
    originals = context.all_reduce, context.all_gather

    def watched(original: Callable) -> Callable:
        def call(self: tf.distribute.ReplicaContext, *arguments: object, **named: object) -> object:
            value = next(argument for argument in arguments if isinstance(argument, tf.Tensor))
            sizes.append(int(np.prod(value.shape)) * value.dtype.size)
            return original(self, *arguments, **named)

        return call

    context.all_reduce, context.all_gather = (watched(original) for original in originals)
    try:
        trace()
    finally:
        context.all_reduce, context.all_gather = originals
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--gin_file", default="digits/vae.gin")
    options = parser.parse_args()
    os.environ.pop("TF_CONFIG", None)
    cpu = tf.config.list_logical_devices("CPU")[0].name
    kinds = {
        "one device": Devices(),
        "multi_worker, 1 replica": Replicas(tf.distribute.MultiWorkerMirroredStrategy()),
        "mirrored, 1 replica": Replicas(tf.distribute.MirroredStrategy([cpu])),
    }
    with tempfile.TemporaryDirectory() as folder:
        made = {n: loop_on(d, options.gin_file, options.steps, Path(folder) / n) for n, d in kinds.items()}
        trainer = made["one device"][1]
        experiment, draws = trainer.experiment, trainer.feed.draws_per_step
        exchanged = made["mirrored, 1 replica"]

        def trace() -> None:
            exchanged[0](exchanged[1].feed.positions(0, options.steps))

        sizes = collectives(exchanged[1], trace)
        gradients = sum(
            4 * int(np.prod(variable.shape)) * player.updates
            for player in trainer.built.players
            for variable in player.variables.values()
        )
        loops = {name: loop for name, (loop, _) in made.items()}
        shape = (options.steps * draws, experiment.batch_size)
        report_turns(options.gin_file, loops, len(experiment.train), shape, options.steps, options.rounds)
    total = sum(sizes)
    print(f"\n{len(sizes)} collectives a step, {total:,} bytes; gradients of all moves {gradients:,} bytes")
    for name, (devices, bandwidth, latency) in LINKS.items():
        seconds = 2 * (devices - 1) / devices * total / bandwidth + len(sizes) * latency
        print(f"{name}: {seconds * 1e6:.0f} us a step to exchange them, if nothing overlaps")


if __name__ == "__main__":
    main()
