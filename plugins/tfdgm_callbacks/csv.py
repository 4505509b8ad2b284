"""Write the metrics of a run as CSV."""

import csv
import io
import os

from tfdgm import Callback, Training, UserError
from tfdgm_callbacks.follower import lines_after


class CSV(Callback):
    """Writes `metrics.csv` beside `metrics.jsonl`, at every checkpoint and at the end.

    It has a row for each loop, and a column for every metric that any loop has, in the order of their first appearance;
    what a loop does not have is empty.

    Args:
      name: of the file, in the workdir.
    """

    def __init__(self, *, name: str = "metrics.csv") -> None:
        self.require(os.path.basename(name) == name and name.endswith(".csv"), f"name must be NAME.csv, got {name!r}")
        self.name = name

    def on_start(self, training: Training) -> None:
        self.training = training

    def on_checkpoint(self, step: int) -> None:
        self._write()

    def on_end(self, step: int) -> None:
        self._write()

    def _write(self) -> None:
        """Replace the file.

        Raises:
          UserError: the disk is full or read-only.
        """
        lines = lines_after(self.training.workdir / "metrics.jsonl", -1)
        columns = list(dict.fromkeys(name for line in lines for name in line))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns or ["step"], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        path = self.training.workdir / self.name
        temporary = path.with_name(f".{self.name}.tmp")
        try:
            temporary.write_text(text.getvalue(), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise UserError(f"{path} could not be written: {error.strerror or error}") from None
