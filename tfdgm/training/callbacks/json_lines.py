"""Log metrics as lines of JSON."""

import os
from collections.abc import Mapping

from tfdgm.contracts.callback import Callback, Training
from tfdgm.errors import UserError
from tfdgm.runs.metrics_file import cut_after, line_of


class JsonLines(Callback):
    """Appends a line to `metrics.jsonl` for every loop; a resumed run has one line for each step."""

    def on_start(self, training: Training) -> None:
        """Remove the lines after the training's step, which will be written again.

        Raises:
          UserError: the file cannot be truncated.
        """
        self.path = training.workdir / "metrics.jsonl"
        try:
            cut_after(self.path, training.step)
        except FileNotFoundError:
            return
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{self.path} cannot be truncated after step {training.step}: {reason}") from None

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one line.

        Raises:
          UserError: the disk is full or read-only.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with open(os.open(self.path, flags, 0o666), "ab") as file:
                file.write(line_of(step, metrics).encode() + b"\n")
        except OSError as error:
            raise UserError(f"{self.path} could not be written: {error.strerror or error}") from None

    def on_checkpoint(self, step: int) -> None:
        """Make the lines durable before the checkpoint, so that a power failure cannot lose lines before its step."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
