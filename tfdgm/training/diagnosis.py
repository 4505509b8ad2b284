"""Find the first tensor that became non-finite, with its player and step.

Every step is a function of its number, so that the run can be replayed from the last good checkpoint: with the compiled
loop up to the failing one, then step by step with a check of every tensor.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfdgm.errors import NonFiniteError
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.runs.experiment import Built
from tfdgm.training.feed import Feed
from tfdgm.training.loop import Loop
from tfdgm.training.step import training_step


def first_non_finite(
    built: Built,
    feed: Feed,
    loop: Loop,
    *,
    seed: tf.Tensor,
    shards: int,
    restore: Callable[[], int],
    kept_in: str,
    first: int,
    count: int,
) -> NonFiniteError:
    """Replay steps `first` to `first + count` with a check of every tensor.

    Args:
      built: the experiment; its variables are changed.
      feed: the run's batches.
      loop: the run's compiled loop.
      seed: stateless seed, int32 `[2]`, of all training draws.
      shards: number of parts of the global batch.
      restore: restores the last good checkpoint and returns its step.
      kept_in: folder of that checkpoint, for the message.
      first: first step of the failing loop.
      count: number of steps of the failing loop.

    Returns:
      The error to raise; it names player, tensor and step, or reports that the replay stayed finite.
    """
    start = restore()
    for begin, steps, arguments in feed.blocks(start):
        if begin >= first:
            break
        loop(steps, *arguments)
    names: list[tuple[str, str]] = []

    def checked_step(number: tf.Tensor, positions: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        names.clear()
        flags: list[tf.Tensor] = []

        def probe(player: str, name: str, tensor: tf.Tensor) -> None:
            names.append((player, name))
            flags.append(tf.reduce_all(tf.math.is_finite(tf.cast(tensor, tf.float32))))

        training_step(
            built.model,
            built.players,
            [Draw(positions[d], rows[d]) for d in range(feed.draws_per_step)],
            number,
            devices=Devices(),  # the same result on one device; probes cannot read tensors of other devices
            seed=Seed(seed).child(number),
            shards=shards,
            clip_norm=built.experiment.clip_norm,
            probe=probe,
        )
        return tf.stack(flags)

    compiled = tf.function(checked_step, jit_compile=built.devices.one_program, autograph=False)
    kept = f"the checkpoint of step {start} in {kept_in} is kept"
    for step in range(first, first + count):
        positions, rows = feed.step(step)
        finite = compiled(tf.constant(step, tf.int64), tf.constant(positions), tf.constant(rows)).numpy()
        if not finite.all():
            player, name = names[int(np.argmin(finite))]
            return NonFiniteError(
                f"training became non-finite at step {step}: the first tensor, of the player {player!r}, was {name}; "
                f"{kept}"
            )
    return NonFiniteError(
        f"training became non-finite between steps {first} and {first + count}, but a replay step by step stayed "
        f"finite, since it is compiled differently and rounds differently; {kept}"
    )
