"""What the commands of studies share: their flags, and how they train what a plan leaves to train."""

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from absl import flags

from tfdgm.cli.folder_flags import define_holding_flags
from tfdgm.errors import UserError
from tfdgm.runs.workdir import new_folder
from tfdgm.studies.cells import Cell, CellSettings, StudyKind
from tfdgm.studies.dry_run import describe_plan
from tfdgm.studies.exit_status import FAILED, REFUSED
from tfdgm.studies.folder import Folder
from tfdgm.studies.plan import Plan
from tfdgm.studies.runner import Fixed, Runner, Supply
from tfdgm.studies.table import counts
from tfdgm.studies.write_reports import write_reports
from tfdgm.system.console import say

_MOST_SEEDS = 1_000


def define_study_flags(kind: StudyKind, values: flags.FlagValues) -> None:
    """Define the flags of all studies."""
    flags.DEFINE_string(
        "workdir", None, f"folder of the {kind.name}; runs/{kind.name}-TIME by default", flag_values=values
    )
    flags.DEFINE_multi_string("seeds", ["0"], "comma separated or repeated; 0-9 is a range", flag_values=values)
    flags.DEFINE_integer("jobs", 1, "number of parallel processes, which share the cores evenly", flag_values=values)
    flags.DEFINE_bool(
        "dry_run", False, "print the cells to train and those that are refused, and stop", flag_values=values
    )
    flags.DEFINE_bool("commands", False, "with --dry_run: print the command of each cell too", flag_values=values)
    define_holding_flags(values)


def split(texts: Iterable[str]) -> list[str]:
    """Return the parts of comma separated texts."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _seeds(text: str) -> range:
    """Return the seeds of `N` or of `FIRST-LAST`."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text, re.ASCII)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if not first <= last < 2**31:
        raise UserError(f"--seeds must be integers in [0, 2^31) or ranges FIRST-LAST of them, got {text!r}")
    if last - first >= _MOST_SEEDS:
        raise UserError(f"--seeds: {text} has more than {_MOST_SEEDS:,} seeds")
    return range(first, last + 1)


def chosen_seeds(values: flags.FlagValues) -> list[int]:
    """Return the seeds of `--seeds`, each once.

    Raises:
      UserError: one is not a seed.
    """
    return list(dict.fromkeys(seed for text in split(values.seeds) for seed in _seeds(text)))


def in_its_folder(kind: StudyKind, values: flags.FlagValues, command: Callable[[Path, flags.FlagValues], int]) -> int:
    """Call a command with its folder, which is new unless `--workdir` names one.

    Raises:
      UserError: a flag is wrong.
    """
    if values.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {values.jobs}")
    if values.commands and not values.dry_run:
        raise UserError("--commands requires --dry_run")
    if values.workdir or values.dry_run:
        return command(Path(values.workdir or f"runs/{kind.name}-TIME"), values)
    with new_folder(Path("runs"), kind.name) as folder:
        return command(folder, values)


def refuse_if_all_are(plan: Plan, cells: Sequence[Cell]) -> None:
    """Raise `UserError` if every requested cell is refused."""
    requested = [plan.results[cell] for cell in cells]
    if requested and all(result.status == REFUSED for result in requested):
        reasons = dict.fromkeys(f"{result.cell}: {result.reason}" for result in requested[:5])
        raise UserError(f"all {len(requested)} cells are refused, for example\n  " + "\n  ".join(reasons))


def run_study(
    folder: Folder,
    settings: CellSettings,
    make: Callable[[], Plan],
    values: flags.FlagValues,
    supply: Callable[[Plan], Supply] = lambda plan: Fixed(plan.waiting),
) -> int:
    """Plan, and train what is to be trained, or describe it for a dry run.

    Args:
      folder: of the study.
      settings: shared by the cells.
      make: makes the plan; it raises `UserError` before anything is written.
      values: flags of the command.
      supply: returns the cells to train; it is called while the folder is held.

    Returns:
      The exit code.
    """
    if values.dry_run:
        for line in describe_plan(make(), values.commands):
            print(line)
        return 0
    empty = not folder.path.exists() or not any(folder.path.iterdir())
    new = make() if empty else None  # first: an error must not leave an empty folder
    with folder.held():
        plan = new or make()
        write_reports(folder, plan.results.values())
        return _train(plan, settings, folder, values.jobs, supply(plan))


def _train(plan: Plan, settings: CellSettings, folder: Folder, jobs: int, supply: Supply) -> int:
    waiting = set(plan.waiting)
    started = sum((folder.workdir(cell) / "config.gin").exists() for cell in waiting)
    others = counts(result for cell, result in plan.results.items() if cell not in waiting)
    details = [f"{started} of them already started"] if started else []
    details += [f"{number} {status}" for status, number in others.items()]
    say("; ".join([f"{supply.total} cells to train, {jobs} at a time", *details]))
    before = set(plan.results) - waiting
    stopped = Runner(folder, plan.results, settings, jobs).run(supply)
    write_reports(folder, plan.results.values())
    for name in (f"{folder.kind.name}.csv", f"{folder.kind.name}.md", "index.html"):
        say(f"written to {folder.path / name}")
    if stopped is not None:
        say(f"stopped; to resume, run the same command with {shlex.quote(f'--workdir={folder.path}')}")
        return 128 + stopped
    failed = [result for cell, result in plan.results.items() if cell not in before and result.status == FAILED]
    for result in failed:
        say(f"failed: {result.cell}: {result.reason}; full output: {folder.log(result.cell)}")
    return 1 if failed else 0
