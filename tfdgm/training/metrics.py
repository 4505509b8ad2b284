"""`metrics.jsonl`, one flat object a line and every logged step once, and the same as TensorBoard events."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from tfdgm.errors import UserError

# What `tf.summary.scalar` writes, which itself needs TensorBoard installed.
_SCALAR = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class=1)


class MetricsLog:
    """Appends to a workdir's metrics."""

    def __init__(self, workdir: Path) -> None:
        self.path = workdir / "metrics.jsonl"
        self.events = workdir / "events"
        self._writer: tf.summary.SummaryWriter | None = None

    def cut_after(self, step: int) -> None:
        """Forgets lines past `step`: a resumed run makes those steps again."""
        if not self.path.exists():
            return
        kept = [line for line in read_lines(self.path) if line["step"] <= step]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        os.replace(temporary, self.path)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line and the events of one step.

        Raises:
          UserError: the disk is full or read-only.
        """
        line = json.dumps({"step": step, **{name: float(f"{v:.7g}") for name, v in metrics.items()}})
        try:
            with open(self.path, "a") as file:
                file.write(line + "\n")
        except OSError as error:
            raise UserError(f"{self.path} could not be written: {error.strerror or error}") from None
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.events))
        with self._writer.as_default():
            for name, value in metrics.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=_SCALAR)

    def sync(self) -> None:
        """Makes the lines survive a power cut: before a checkpoint that lies past them."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Ends the events; a further `write` begins a new file of them."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def read_lines(path: Path) -> list[dict[str, float]]:
    """The lines of a metrics file; one that a crash cut off is left out."""
    lines = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "step" in line:
            lines.append(line)
    return lines
