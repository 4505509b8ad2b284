"""Log metrics and the configuration as TensorBoard events."""

import os
import textwrap
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdgm.contracts.callback import Callback, Training
from tfdgm.errors import UserError

_VALIDATION = "validation_"


def _metadata(plugin: str, data_class: int) -> Any:
    """Return what `tf.summary.scalar` and `tf.summary.text` write, which require TensorBoard to be installed."""
    return tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": plugin}, data_class=data_class)


_SCALAR, _TEXT = _metadata("scalars", 1), _metadata("text", 2)


class TensorBoard(Callback):
    """Writes events to `events/train`, and validation scores to `events/validation` under the same tags.

    TensorBoard shows a metric of both folders in one chart. Writing does not require the package `tensorboard`.

    Args:
      config: the configuration of the run, written as a text; None if it was made in Python.
    """

    def __init__(self, config: str | None = None) -> None:
        self.config = config
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self._has_config = False

    def on_start(self, training: Training) -> None:
        self.folder = training.workdir / "events"

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the events of one loop.

        Raises:
          UserError: the disk is full or read-only.
        """
        try:
            if self.config is not None and not self._has_config:
                self._has_config = True
                block = textwrap.indent(self.config, "    ", lambda line: True)  # code, in Markdown
                self._write("train", "config", tf.constant(block), step, _TEXT)
            for name, value in metrics.items():
                folder = "validation" if name.startswith(_VALIDATION) else "train"
                tag = name.removeprefix(_VALIDATION)
                self._write(folder, tag, tf.constant(value, tf.float32), step, _SCALAR)
        except tf.errors.OpError as error:
            raise UserError(f"{self.folder} could not be written: {error.message}") from None

    def _write(self, folder: str, tag: str, value: tf.Tensor, step: int, metadata: Any) -> None:
        if folder not in self._writers:
            path = os.fsencode(self.folder / folder)  # a str is written as UTF-8
            self._writers[folder] = tf.summary.create_file_writer(path)
        with self._writers[folder].as_default():
            tf.summary.write(tag, value, step=step, metadata=metadata)

    def on_end(self, step: int) -> None:
        """Close the files; later events begin new ones."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
