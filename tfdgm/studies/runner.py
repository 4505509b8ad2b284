"""Trains cells, each in a process of its own, some at a time."""

import dataclasses
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfdgm.errors import UserError
from tfdgm.studies.cells import Cell, CellSettings
from tfdgm.studies.exit_status import DONE, numbers, outcome
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.study_progress import StudyProgress
from tfdgm.studies.write_reports import write_outputs
from tfdgm.system.locks import is_locked
from tfdgm.system.processes import environment, python_command, start
from tfdgm.system.signals import signals_noted

TRAIN = (*python_command("tfdgm"), "train")

_SECONDS_BETWEEN_LOOKS = 0.2


@dataclasses.dataclass
class _Job:
    """A process that trains a cell; what it says begins at `offset` of its log."""

    process: subprocess.Popen
    log: Path
    offset: int
    began: float

    def seconds(self) -> float:
        return time.monotonic() - self.began


class Runner:
    """Runs `tfdgm train` for every waiting cell, `jobs` at a time; one that fails costs the others nothing.

    Args:
      folder: held by this process.
      results: of every cell in it; brought up to date, and written after each cell.
      settings: what the cells share.
      jobs: processes at a time.
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
        self.waiting: list[Cell] = []
        self.running: dict[Cell, _Job] = {}
        self.waited_for: set[Cell] = set()

    def run(self, cells: Iterable[Cell]) -> int | None:
        """Trains the cells; returns the signal that stopped it, or None where all had their turn.

        The first signal is passed on, so that every process saves and ends; a second one kills them.
        """
        self.waiting = list(cells)
        self.progress = StudyProgress(len(self.waiting), self.jobs)
        passed_on = 0
        self.environment = environment(self.jobs)
        with signals_noted(interruptible=False) as received:
            try:
                while self.running or (self.waiting and not received):
                    if len(received) > passed_on:
                        self._signal(received[0] if passed_on == 0 else signal.SIGKILL)
                        passed_on = len(received)
                    self._reap(stopped=bool(received))
                    if not received:
                        self._start()
                    self._show()
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            except OSError as error:
                raise UserError(f"the matrix in {self.folder.path} could not go on: {error}") from None
            finally:
                self._signal(signal.SIGTERM)
                for job in self.running.values():
                    job.process.wait()
                self.progress.close()
        return received[0] if received else None

    def _start(self) -> None:
        while self.waiting and len(self.running) < self.jobs:
            cell = next((cell for cell in self.waiting if self._free(cell)), None)
            if cell is None:
                return
            self.waiting.remove(cell)
            self.running[cell] = self._job(cell)
            write_outputs(self.folder, self.results.values(), self.running)

    def _free(self, cell: Cell) -> bool:
        """Whether no process trains in the cell's workdir: one of a command that was killed may still be saving."""
        workdir = self.folder.workdir(cell)
        if not is_locked(workdir):
            return True
        if cell not in self.waited_for:
            self.waited_for.add(cell)
            self.progress.say(f"{cell}: waiting for another process that trains in {workdir}")
        return False

    def _job(self, cell: Cell) -> _Job:
        log = self.folder.log(cell)
        with open(log, "ab") as file:
            file.write(f"$ {self.results[cell].command}\n".encode())
            offset = file.tell()
            file.flush()
            command = [*self.program, *self.settings.flags(cell, self.folder.workdir(cell))]
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT}
            return _Job(start(command, self.environment, **streams), log, offset, time.monotonic())

    def _reap(self, stopped: bool) -> None:
        for cell, job in list(self.running.items()):
            if job.process.poll() is None:
                continue
            del self.running[cell]
            if job.process.returncode == 2 and not self._free(cell):  # another process was there first
                self.waiting.append(cell)
                continue
            with open(job.log, "rb") as file:
                file.seek(job.offset)
                said = file.read().decode(errors="replace")
            workdir, result = self.folder.workdir(cell), self.results[cell]
            ended = outcome(job.process.returncode, said, workdir, stopped)
            result.status, result.reason = ended.status, ended.reason
            result.seconds += job.seconds()
            result.scores = numbers(workdir) if result.status == DONE else {}
            write_outputs(self.folder, self.results.values(), self.running)
            self.progress.end(result, job.seconds(), self.results.values(), self._elapsed())

    def _show(self) -> None:
        workdirs = {cell: self.folder.workdir(cell) for cell in self.running}
        self.progress.show(self.results.values(), self._elapsed(), workdirs)

    def _elapsed(self) -> dict[Cell, float]:
        return {cell: job.seconds() for cell, job in self.running.items()}

    def _signal(self, number: int) -> None:
        for job in self.running.values():
            if job.process.poll() is None:
                job.process.send_signal(number)
