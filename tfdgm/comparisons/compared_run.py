"""Find the runs in folders, and read what a comparison needs of each."""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfdgm.comparisons.recorded_settings import RecordedSettings, read_settings
from tfdgm.contracts.quantity import Quantity
from tfdgm.errors import UserError
from tfdgm.runs.data_identity import DataIdentity
from tfdgm.runs.workdir import Workdir

#: Keys of `eval.json` that are no scores.
_FACTS = ("step", "seed", "data_split", "num_examples")


@dataclasses.dataclass(frozen=True)
class ComparedRun:
    """A run.

    Attributes:
      path: of its workdir.
      settings: None for a run made in Python, whose settings are not recorded.
      seed: of the run, or None if it is not recorded.
      evaluation: the content of `eval.json`; empty if the run has not been scored.
      quantities: meanings of the scores, by key.
      data: the recorded identity of its data; None in runs of versions that did not record it.
    """

    path: Path
    settings: RecordedSettings | None
    seed: int | None
    evaluation: Mapping[str, Any]
    quantities: Mapping[str, Quantity]
    data: DataIdentity | None

    @functools.cached_property
    def scores(self) -> dict[str, float]:
        """The numbers of `eval.json` by name."""
        numbers = {name: value for name, value in self.evaluation.items() if name not in _FACTS}
        return {name: value for name, value in numbers.items() if isinstance(value, (int, float))}

    @property
    def step(self) -> int | None:
        """The step at which it was scored."""
        return self.evaluation.get("step")

    @functools.cached_property
    def lines(self) -> list[dict[str, float]]:
        """The lines of its metrics."""
        return Workdir(self.path).metrics()


def read_run(path: Path) -> ComparedRun:
    """Return the run in a workdir.

    Raises:
      UserError: its configuration is damaged or cannot be read.
    """
    workdir = Workdir(path)
    settings, record = read_settings(workdir), workdir.run_record()
    splits = record.get("fingerprint")
    return ComparedRun(
        path=path,
        settings=settings,
        seed=record.get("seed"),
        evaluation=workdir.scores(),
        quantities=workdir.quantities(),
        data=DataIdentity.parsed({"spec": {}, "splits": splits}) if splits else None,
    )


def find_workdirs(folders: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the workdirs in folders, each once, and a sentence for each folder without one.

    Args:
      folders: workdirs, folders of workdirs, or the folder of a matrix, whose cells are its runs.
    """
    found: dict[str, Path] = {}
    problems = []
    for folder in folders:
        try:
            workdirs = [folder] if _is_run(folder) else _runs_in(folder) or _runs_in(folder / "cells")
        except NotADirectoryError:
            problems.append(f"{folder} is a file, and no folder of runs")
            continue
        except OSError as error:
            problems.append(f"{folder} cannot be read: {error.strerror or error}")
            continue
        if not workdirs:
            problems.append(f"{folder} holds no run: neither it nor a folder in it has config.gin or run.json")
        for path in workdirs:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values()), problems


def _runs_in(folder: Path) -> list[Path]:
    if folder.name == "cells" and not folder.exists():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and _is_run(path))


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in ("config.gin", "run.json"))


def read_runs(folders: Sequence[Path]) -> tuple[list[ComparedRun], list[str]]:
    """Return the runs in folders, and a sentence for each folder that cannot be read as one.

    Args:
      folders: see `find_workdirs`.
    """
    paths, problems = find_workdirs(folders)
    runs = []
    for path in paths:
        try:
            runs.append(read_run(path))
        except (UserError, ValueError) as error:
            problems.append(f"{path} cannot be read: {error}")
    return runs, problems
