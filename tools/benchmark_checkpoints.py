"""What asynchronous checkpoints cost: training with one every so many seconds beside none, in one process.

  python tools/benchmark_checkpoints.py [--rounds=6] [--seconds=10] [--gin_file=digits/vae.gin]

Windows of that many seconds take turns; in every second one a checkpoint is handed to the writing thread at the start,
and the time that takes is part of the window. Where the machine's speed changes more than that, the last line tells
more: the time of a checkpoint made with nothing beside it, which is all that it can cost.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import tensorflow as tf

from tfdgm.configuration.resolve import read_config
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.training.trainer import Trainer


def save(trainer: Trainer) -> None:
    state = trainer.built.state
    trainer.save(Checkpoint(int(state.step.numpy()), state.read(), trainer.shards))


def rate(trainer: Trainer, seconds: float, saves: bool) -> float:
    """Steps a second in one window."""
    count = trainer.experiment.steps_per_loop
    began, made = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        if saves and made == 0:
            save(trainer)
        trainer.loop(count, tf.constant(trainer.feed.positions(made, count)))
        made += count
    return made / (time.perf_counter() - began)


def seconds_alone(trainer: Trainer) -> float:
    """Of one checkpoint, with the training waiting for it."""
    began = time.perf_counter()
    save(trainer)
    trainer.checkpoints.wait()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--gin_file", default="digits/vae.gin")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(read_config([options.gin_file]).experiment().build(), Path(folder), print)
        rate(trainer, 1.0, saves=True)  # compiles
        rates: dict[bool, list[float]] = {False: [], True: []}
        for number in range(2 * options.rounds):
            saves = number % 2 == 1
            rates[saves].append(rate(trainer, options.seconds, saves))
        trainer.checkpoints.wait()
        alone = statistics.median(seconds_alone(trainer) for _ in range(2 * options.rounds))
        size = max(path.stat().st_size for path in (Path(folder) / "checkpoints").iterdir())
    plain, saving = statistics.median(rates[False]), statistics.median(rates[True])
    spread = (max(rates[False]) - min(rates[False])) / plain
    print(f"no checkpoint: {plain:.1f} steps/s (windows differ by {spread:.1%})")
    print(f"one of {size / 1e6:.1f} MB every {options.seconds:g} s: {saving:.1f} steps/s")
    print(f"cost: {1 - saving / plain:.2%} of the time")
    print(f"a checkpoint by itself takes {alone * 1e3:.0f} ms, {alone / options.seconds:.2%} of the time")


if __name__ == "__main__":
    main()
