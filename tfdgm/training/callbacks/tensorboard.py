"""Log metrics as TensorBoard events."""

import os
from collections.abc import Mapping

import tensorflow as tf

from tfdgm.contracts.callback import Callback, Training
from tfdgm.errors import UserError

# The metadata of `tf.summary.scalar`, which itself requires TensorBoard to be installed.
_SCALAR = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class=1)


class TensorBoard(Callback):
    """Writes the metrics of every loop to the folder `events`."""

    _writer: tf.summary.SummaryWriter | None = None

    def on_start(self, training: Training) -> None:
        self.folder = training.workdir / "events"

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the events of one loop.

        Raises:
          UserError: the disk is full or read-only.
        """
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(os.fsencode(self.folder))  # a str is written as UTF-8
            with self._writer.as_default():
                for name, value in metrics.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=_SCALAR)
        except tf.errors.OpError as error:
            raise UserError(f"{self.folder} could not be written: {error.message}") from None

    def on_end(self, step: int) -> None:
        """Close the file; later events begin a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
