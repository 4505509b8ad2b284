"""Log metrics: a line of `metrics.jsonl` for every logged step, each once, and the same as TensorBoard events."""

import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.runs.metrics_file import cut_after, line_of

# What `tf.summary.scalar` writes, which itself needs TensorBoard installed.
_SCALAR = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class=1)


class MetricsLog:
    """Appends to a workdir's metrics."""

    def __init__(self, workdir: Path) -> None:
        self.path = workdir / "metrics.jsonl"
        self.events = workdir / "events"
        self._writer: tf.summary.SummaryWriter | None = None

    def cut_after(self, step: int) -> None:
        """Remove the lines past `step`: a resumed run makes those steps again.

        Raises:
          UserError: the file cannot be cut.
        """
        try:
            cut_after(self.path, step)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{self.path} cannot be cut after step {step}: {error.strerror or error}") from None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one line and the events of one step.

        Raises:
          UserError: the disk is full or read-only.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with open(os.open(self.path, flags, 0o666), "ab") as file:
                file.write(line_of(step, metrics).encode() + b"\n")
        except OSError as error:
            raise UserError(f"{self.path} could not be written: {error.strerror or error}") from None
        try:
            self._write_events(step, metrics)
        except tf.errors.OpError as error:
            raise UserError(f"{self.events} could not be written: {error.message}") from None

    def _write_events(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(os.fsencode(self.events))  # else UTF-8
        with self._writer.as_default():
            for name, value in metrics.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=_SCALAR)

    def sync(self) -> None:
        """Make the lines survive a power cut: before a checkpoint that lies past them."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """End the events; a further `write` begins a new file of them."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
