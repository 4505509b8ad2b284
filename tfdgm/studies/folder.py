"""The folder of a study: a workdir and a log for each cell, the record of all results, and the tables."""

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfdgm.contracts.quantity import Quantity
from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir
from tfdgm.studies.cells import Cell, StudyKind
from tfdgm.studies.exit_status import DONE, STATUSES, UNFINISHED, finished
from tfdgm.system import strict_json
from tfdgm.system.files import remove_leftovers
from tfdgm.system.locks import locked
from tfdgm.system.ownership import check_ownership

_FOLDERS = ("cells", "logs")


@dataclasses.dataclass
class Result:
    """The result of a cell.

    Attributes:
      cell: that was, or is to be, trained.
      status: "done", "refused", "failed", "unfinished", or "pruned" for one that was stopped for its scores.
      reason: why it is not done.
      seconds: total duration of its processes that ended while a study was running.
      scores: the numbers of its `eval.json`, if it is done.
      command: that trains it.
    """

    cell: Cell
    status: str = UNFINISHED
    reason: str = ""
    seconds: float = 0.0
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    command: str = ""


class Folder:
    """The files of a study; later commands may add cells to it.

    Args:
      path: of the folder.
      kind: of the study.
      trusted: whether it may belong to another user.
      lock: whether to hold it with a lock file.
    """

    def __init__(self, path: Path, kind: StudyKind, trusted: bool = False, lock: bool = True) -> None:
        self.path = path
        self.kind = kind
        self.record = f"{kind.name}.json"
        self.trusted = trusted
        self.lock = lock

    def workdir(self, cell: Cell) -> Path:
        """Return the workdir of a cell."""
        return self.path / "cells" / cell.name

    def quantities(self, results: Iterable[Result]) -> dict[str, Quantity]:
        """Return the meanings of the scores of finished cells, by key, in the order of the first cell that has each."""
        found: dict[str, Quantity] = {}
        for result in results:
            if result.status == DONE:
                for key, quantity in Workdir(self.workdir(result.cell)).quantities().items():
                    found.setdefault(key, quantity)
        return found

    def log(self, cell: Cell) -> Path:
        """Return the log file of a cell."""
        return self.path / "logs" / f"{cell.name}.log"

    def check(self) -> None:
        """Check that the folder is new or holds a study of the kind.

        Raises:
          UserError: it holds a run, or other files.
        """
        check_ownership(self.path, _FOLDERS, self.trusted)
        if not self.path.exists():
            return
        if (self.path / "config.gin").exists():
            raise UserError(f"--workdir: {self.path} holds a run of tfdgm train; {self._needs}")
        is_study = (self.path / self.record).exists() or all(entry.name == ".lock" for entry in self.path.iterdir())
        if not is_study:
            raise UserError(f"--workdir: {self.path} holds other files; {self._needs}")

    @property
    def _needs(self) -> str:
        return f"a {self.kind.name} needs a folder of its own"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Create the folder, and hold it for this process within the block.

        Raises:
          UserError: it cannot be written, or another process holds it.
        """
        try:
            for child in _FOLDERS:
                (self.path / child).mkdir(parents=True, exist_ok=True)
            if not (self.path / self.record).exists():
                self.write(self.record, strict_json.dumps({"cells": []}))
        except OSError as error:
            raise UserError(f"the folder {self.path} cannot be written: {error.strerror or error}") from None
        with locked(self.path, self.lock):
            remove_leftovers(self.path)
            yield

    def results(self) -> dict[Cell, Result]:
        """Return the recorded results, in the order of the tables; a cell whose run was deleted is unfinished."""
        entries = Workdir(self.path).read_json(self.record).get("cells", [])
        found = [self._result(entry) for entry in (entries if isinstance(entries, list) else [])]
        results = {result.cell: result for result in found if result is not None}
        for cell, result in results.items():
            if result.status == DONE and not finished(self.workdir(cell)):
                results[cell] = Result(cell)
        return results

    def _result(self, entry: Any) -> Result | None:
        """Return one entry of the record, or None if it is damaged; its cell is then scored again."""
        try:
            cell = self.kind.read(entry)
            numbers = {str(name): strict_json.number(value) for name, value in entry["scores"].items()}
            scores = {name: value for name, value in numbers.items() if value is not None}
            result = Result(
                cell, entry["status"], str(entry["reason"]), float(entry["seconds"]), scores, str(entry["command"])
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return result if result.status in STATUSES else None

    def write_results(self, results: Iterable[Result]) -> None:
        """Write the record of all cells."""
        entries = [{**result.cell.record(), **_without_cell(result)} for result in results]
        self.write(self.record, strict_json.dumps({"cells": entries}, indent=1) + "\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder atomically."""
        return Workdir(self.path).write(name, text)


def _without_cell(result: Result) -> dict[str, Any]:
    return {field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.name != "cell"}
