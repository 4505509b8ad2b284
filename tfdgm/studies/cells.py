"""The cells of a study, which are its runs, and the flags of `tfdgm train` for each."""

import abc
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class Cell(abc.ABC):
    """One run of a study: a text for each column of its tables, and a seed. Cells are hashable.

    Attributes:
      seed: of the run.
    """

    seed: int

    @property
    @abc.abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the names of what the study varies, beside the seed."""

    @property
    @abc.abstractmethod
    def combination(self) -> tuple[str, ...]:
        """Return the text of each column; runs of one combination differ in the seed only."""

    @property
    @abc.abstractmethod
    def title(self) -> tuple[str, str]:
        """Return the heading of the page under which the combination stands, and its name there."""

    @abc.abstractmethod
    def record(self) -> dict[str, Any]:
        """Return what the folder records of the cell."""

    @abc.abstractmethod
    def sort_key(self) -> tuple:
        """Return the position in tables."""

    @property
    def choices(self) -> list[str]:
        """Return `KIND.NAME` of every plugin that decides which further config files the cell reads."""
        return []

    def flags(self) -> list[str]:
        """Return the shorthand flags of `tfdgm train` that make the cell's choices."""
        return []

    def statements(self) -> list[str]:
        """Return the gin statements that these flags stand for."""
        return []

    def bindings(self) -> list[str]:
        """Return the gin statements of the cell, which override those that all cells share."""
        return []

    @property
    def label(self) -> str:
        """Return the combination as part of the name of a file."""
        return "-".join(self.combination)

    @property
    def name(self) -> str:
        """Return the name of the cell's folder and log."""
        return re.sub(r"[^\w.,=+-]", "_", f"{self.label}-{self.seed}")

    def __str__(self) -> str:
        return f"{' '.join(self.combination)} seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class StudyKind:
    """A kind of study.

    Attributes:
      name: of its command, of the record and of the tables: `NAME.json`, `NAME.csv` and `NAME.md`.
      read: returns the cell of a record; raises KeyError, TypeError or ValueError if it is damaged.
    """

    name: str
    read: Callable[[Mapping[str, Any]], Cell]


@dataclasses.dataclass(frozen=True)
class CellSettings:
    """The settings that all cells share, and those that depend on a cell's choices.

    Attributes:
      files: config files of every cell.
      bindings: gin statements of every cell; they override files.
      files_by_choice: for each `KIND.NAME`, config files that cells with this choice read after `files`.
      extra_flags: further flags of every cell.
    """

    files: Sequence[str]
    bindings: Sequence[str] = ()
    files_by_choice: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    extra_flags: Sequence[str] = ()

    def flags(self, cell: Cell, workdir: Path) -> list[str]:
        """Return the flags of `tfdgm train` that train the cell in `workdir`."""
        return [
            f"--workdir={workdir}",
            *(f"--gin_file={file}" for file in self._files(cell)),
            *cell.flags(),
            *(f"--gin_bindings={binding}" for binding in self._bindings(cell)),
            *self.extra_flags,
        ]

    def config(self, cell: Cell) -> tuple[list[str], list[str]]:
        """Return the config files and gin statements that these flags stand for."""
        return self._files(cell), [*cell.statements(), *self._bindings(cell)]

    def _files(self, cell: Cell) -> list[str]:
        return [*self.files, *(file for choice in cell.choices for file in self.files_by_choice.get(choice, ()))]

    def _bindings(self, cell: Cell) -> list[str]:
        return [*self.bindings, *cell.bindings(), f"experiment.seed = {cell.seed}"]
