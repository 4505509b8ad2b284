"""The folder of a matrix: a workdir for each cell, their logs, what is known of each, and the tables."""

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir
from tfdgm.studies.cells import Cell
from tfdgm.studies.exit_status import DONE, FAILED, REFUSED, UNFINISHED, finished
from tfdgm.system import strict_json
from tfdgm.system.files import remove_leftovers
from tfdgm.system.locks import locked
from tfdgm.system.ownership import check_ownership

_RECORD = "matrix.json"
_FOLDERS = ("cells", "logs")


@dataclasses.dataclass
class Result:
    """What is known of a cell.

    Attributes:
      cell: which.
      status: "done", "refused", "failed", or "unfinished".
      reason: why it is not done.
      seconds: that its processes have run, as far as their ends were seen.
      scores: the numbers of its `eval.json` when it was done.
      command: what trains it.
    """

    cell: Cell
    status: str = UNFINISHED
    reason: str = ""
    seconds: float = 0.0
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    command: str = ""


class Folder:
    """Names of the files, and the record of the cells, which any number of commands may add to.

    Args:
      path: the folder.
      trusted: whether it may belong to another user.
      lock: whether a process holds it by a lock.
    """

    def __init__(self, path: Path, trusted: bool = False, lock: bool = True) -> None:
        self.path = path
        self.trusted = trusted
        self.lock = lock

    def workdir(self, cell: Cell) -> Path:
        return self.path / "cells" / cell.name

    def units(self, results: Iterable[Result]) -> dict[str, str]:
        """Return the units of what objectives estimate in finished cells, by name."""
        records = (Workdir(self.workdir(result.cell)).run_record() for result in results if result.status == DONE)
        return {name: unit for record in records for name, unit in record.get("units", {}).items()}

    def log(self, cell: Cell) -> Path:
        return self.path / "logs" / f"{cell.name}.log"

    def check(self) -> None:
        """Makes sure that nothing else is in here.

        Raises:
          UserError: it holds a run, or files of another origin.
        """
        check_ownership(self.path, _FOLDERS, self.trusted)
        if not self.path.exists():
            return
        if (self.path / "config.gin").exists():
            raise UserError(f"--workdir: {self.path} holds a run of tfdgm train; a matrix needs a folder of its own")
        ours = (self.path / _RECORD).exists() or all(entry.name == ".lock" for entry in self.path.iterdir())
        if not ours:
            raise UserError(f"--workdir: {self.path} holds something else; a matrix needs a folder of its own")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder, and holds it for this process.

        Raises:
          UserError: it cannot be written, or another process holds it.
        """
        try:
            for child in _FOLDERS:
                (self.path / child).mkdir(parents=True, exist_ok=True)
            if not (self.path / _RECORD).exists():
                self.write(_RECORD, strict_json.dumps({"cells": []}))
        except OSError as error:
            raise UserError(f"the folder {self.path} cannot be written: {error.strerror or error}") from None
        with locked(self.path, self.lock):
            remove_leftovers(self.path)
            yield

    def results(self) -> dict[Cell, Result]:
        """What earlier commands found, in the order of the tables; a cell whose run is gone is not done any more."""
        entries = Workdir(self.path).read_json(_RECORD).get("cells", [])
        found = [_result(entry) for entry in (entries if isinstance(entries, list) else [])]
        results = {result.cell: result for result in found if result is not None}
        for cell, result in results.items():
            if result.status == DONE and not finished(self.workdir(cell)):
                results[cell] = Result(cell)
        return results

    def write_results(self, results: Iterable[Result]) -> None:
        """Writes the record of all cells."""
        entries = [{**dataclasses.asdict(result.cell), **_without_cell(result)} for result in results]
        self.write(_RECORD, strict_json.dumps({"cells": entries}, indent=1) + "\n")

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the folder, whole or not at all."""
        return Workdir(self.path).write(name, text)


def _without_cell(result: Result) -> dict[str, Any]:
    return {field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.name != "cell"}


def _result(entry: Any) -> Result | None:
    """One entry of the record; None where it is damaged, which costs no more than scoring its run again."""
    try:
        names = [entry["posterior"], entry["prior"], *entry["objectives"]]
        if not all(isinstance(name, str) for name in names):
            return None
        cell = Cell(names[0], names[1], tuple(names[2:]), int(entry["seed"]))
        numbers = {str(name): strict_json.number(value) for name, value in entry["scores"].items()}
        scores = {name: value for name, value in numbers.items() if value is not None}
        result = Result(
            cell, entry["status"], str(entry["reason"]), float(entry["seconds"]), scores, str(entry["command"])
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return result if result.status in (DONE, REFUSED, FAILED, UNFINISHED) else None
