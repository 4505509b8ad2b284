"""Which tensor of which player went non-finite first, and at which step.

Possible because every step is a function of its number: the run is replayed from the last good checkpoint, with the
same compiled loop up to the failing one and then step by step with a check on every tensor.
"""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfdgm.errors import NonFiniteError
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.training.step import training_step

if TYPE_CHECKING:
    from tfdgm.training.trainer import Trainer


def first_non_finite(trainer: "Trainer", first: int, count: int) -> NonFiniteError:
    """Replays the loop of steps `first` to `first + count` under checks.

    Returns:
      The error to raise; it names player, tensor and step, or says that the replay stayed finite.
    """
    start = trainer.restore()
    for begin, steps, arguments in trainer._blocks(start):
        if begin >= first:
            break
        trainer.loop(steps, *arguments)
    names: list[tuple[str, str]] = []

    def checked_step(number: tf.Tensor, positions: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        names.clear()
        flags: list[tf.Tensor] = []

        def probe(player: str, what: str, tensor: tf.Tensor) -> None:
            names.append((player, what))
            flags.append(tf.reduce_all(tf.math.is_finite(tf.cast(tensor, tf.float32))))

        training_step(
            trainer.built.model,
            trainer.built.players,
            [Draw(positions[d], rows[d]) for d in range(trainer.draws_per_step)],
            number,
            devices=Devices(),  # all shards here, which gives the same: probes cannot look into other devices
            seed=Seed(trainer.seed).child(number),
            shards=trainer.shards,
            clip_norm=trainer.experiment.clip_norm,
            probe=probe,
        )
        return tf.stack(flags)

    compiled = tf.function(checked_step, jit_compile=trainer.devices.one_program, autograph=False)
    kept = f"the checkpoint of step {start} in {trainer.checkpoints.directory} is kept"
    for step in range(first, first + count):
        positions = trainer.positions(step, 1)
        rows = trainer.experiment.train.gather(positions.reshape(-1))
        rows = rows.reshape(*positions.shape, *rows.shape[1:])
        finite = compiled(tf.constant(step, tf.int64), tf.constant(positions), tf.constant(rows)).numpy()
        if not finite.all():
            player, what = names[int(np.argmin(finite))]
            return NonFiniteError(
                f"training became non-finite at step {step}: for the player {player!r} the first tensor was {what}; "
                f"{kept}"
            )
    return NonFiniteError(
        f"training became non-finite between steps {first} and {first + count}, but a replay step by step stayed "
        f"finite (the compiler rounds differently there); {kept}"
    )
