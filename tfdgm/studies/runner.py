"""Train cells in parallel, each in its own process."""

import dataclasses
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tfdgm.errors import UserError
from tfdgm.studies.cells import Cell, CellSettings
from tfdgm.studies.exit_status import DONE, PRUNED, exit_status, numeric_scores
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.study_progress import StudyProgress
from tfdgm.studies.write_reports import write_reports
from tfdgm.system.children import Children
from tfdgm.system.locks import is_locked
from tfdgm.system.processes import environment, python_command

TRAIN = (*python_command("tfdgm"), "train")


class Supply(Protocol):
    """Provides the cells of a study while it runs."""

    total: int

    def more(self) -> Sequence[Cell]:
        """Return further cells to train, which are recorded already; none if there are none at the moment."""

    def ended(self, result: Result) -> None:
        """Take the result of a cell."""

    def reason_to_stop(self, cell: Cell) -> str | None:
        """Return why a running cell need not go on, or None."""


class Fixed:
    """A `Supply` of cells that are all known before the first is trained."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.cells = list(cells)
        self.total = len(self.cells)

    def more(self) -> Sequence[Cell]:
        cells, self.cells = self.cells, []
        return cells

    def ended(self, result: Result) -> None:
        """Do nothing."""

    def reason_to_stop(self, cell: Cell) -> str | None:
        return None


@dataclasses.dataclass
class _Job:
    """A process that trains a cell; its output begins at `offset` of its log."""

    log: Path
    offset: int
    began: float
    pruned: str | None = None

    def seconds(self) -> float:
        return time.monotonic() - self.began


class Runner:
    """Runs `tfdgm train` for every waiting cell, `jobs` at a time; a cell that fails does not affect the others.

    Args:
      folder: held by this process.
      results: of every cell in it; updated and written after each cell.
      settings: shared by the cells.
      jobs: number of processes at a time.
      program: the command before a cell's flags.
    """

    def __init__(
        self,
        folder: Folder,
        results: dict[Cell, Result],
        settings: CellSettings,
        jobs: int,
        program: Sequence[str] = TRAIN,
    ) -> None:
        self.folder = folder
        self.results = results
        self.settings = settings
        self.jobs = jobs
        self.program = program
        self.children = Children[Cell]()
        self.waiting: list[Cell] = []
        self.running: dict[Cell, _Job] = {}
        self.announced: set[Cell] = set()

    def run(self, supply: Supply) -> int | None:
        """Train the cells; return the signal that stopped it, or None if every cell was trained.

        The first signal is passed on, so that every process saves and ends; a second one kills them.
        """
        self.supply = supply
        self.waiting = list(supply.more())
        self.progress = StudyProgress(supply.total, self.jobs)
        self.environment = environment(self.jobs)
        try:
            with self.children as children:
                while children.running or (self.waiting and not children.received):
                    if not children.received:
                        self._start()
                    self._show()
                    self._prune()
                    for cell, code in children.wait().items():
                        self._end(cell, code)
                    if len(self.running) + len(self.waiting) < self.jobs and not children.received:
                        self.waiting += self.supply.more()
        except OSError as error:
            raise UserError(f"the study in {self.folder.path} could not continue: {error}") from None
        finally:
            self.progress.close()
        return children.received[0] if children.received else None

    def _start(self) -> None:
        while self.waiting and len(self.running) < self.jobs:
            cell = next((cell for cell in self.waiting if self._free(cell)), None)
            if cell is None:
                return
            self.waiting.remove(cell)
            self._start_cell(cell)
            write_reports(self.folder, self.results.values(), self.running)

    def _free(self, cell: Cell) -> bool:
        """Return whether no process trains in the cell's workdir; one whose study was killed may still be saving."""
        workdir = self.folder.workdir(cell)
        if not is_locked(workdir):
            return True
        if cell not in self.announced:
            self.announced.add(cell)
            self.progress.say(f"{cell}: waiting for another process that trains in {workdir}")
        return False

    def _start_cell(self, cell: Cell) -> None:
        log = self.folder.log(cell)
        with open(log, "ab") as file:
            file.write(f"$ {self.results[cell].command}\n".encode())
            offset = file.tell()
            file.flush()
            command = [*self.program, *self.settings.flags(cell, self.folder.workdir(cell))]
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT}
            self.children.start(cell, command, self.environment, **streams)
        self.running[cell] = _Job(log, offset, time.monotonic())

    def _end(self, cell: Cell, code: int) -> None:
        """Record the result of a cell whose process has ended."""
        job = self.running.pop(cell)
        if code == 2 and not self._free(cell):  # another process took its workdir first
            self.waiting.append(cell)
            return
        with open(job.log, "rb") as file:
            file.seek(job.offset)
            output = file.read().decode(errors="replace")
        workdir, result = self.folder.workdir(cell), self.results[cell]
        ended = exit_status(code, output, workdir, stopped=bool(self.children.received))
        result.status, result.reason = (PRUNED, job.pruned) if job.pruned and code else (ended.status, ended.reason)
        result.seconds += job.seconds()
        result.scores = numeric_scores(workdir) if result.status == DONE else {}
        write_reports(self.folder, self.results.values(), self.running)
        quantities = self.folder.quantities([result])
        self.supply.ended(result)
        self.progress.total = self.supply.total
        self.progress.end(result, job.seconds(), self.results.values(), self._elapsed(), quantities)

    def _prune(self) -> None:
        for cell, job in self.running.items():
            reason = None if job.pruned else self.supply.reason_to_stop(cell)
            if reason:
                job.pruned = reason
                self.children.stop_one(cell)

    def _show(self) -> None:
        workdirs = {cell: self.folder.workdir(cell) for cell in self.running}
        self.progress.show(self.results.values(), self._elapsed(), workdirs)

    def _elapsed(self) -> dict[Cell, float]:
        return {cell: job.seconds() for cell, job in self.running.items()}
