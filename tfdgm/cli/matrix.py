"""Cells are all combinations of the installed posteriors (and none), priors, and objectives: each alone, and each that
needs a posterior with each that brings an adversary. Those that have no meaning are refused with the reason; the others
are trained by processes of `tfdgm train` and scored. Rerunning with the same --workdir goes on; other choices and seeds
add to it.
"""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from absl import flags

from tfdgm.cli.folder_flags import define_holding_flags, holding_flags
from tfdgm.configuration.config_files import DEFAULT_CONFIG, Packaged, in_flags
from tfdgm.errors import UserError
from tfdgm.runs.workdir import new_folder
from tfdgm.studies.cells import Cell, CellSettings, chosen, combine, objective_lists
from tfdgm.studies.check import Checker
from tfdgm.studies.config_overrides import read_added
from tfdgm.studies.dry_run import described
from tfdgm.studies.exit_status import FAILED, REFUSED
from tfdgm.studies.folder import Folder
from tfdgm.studies.plan import Plan, check_settings, make_plan, traits_of_objectives
from tfdgm.studies.runner import Runner
from tfdgm.studies.study_progress import counted
from tfdgm.studies.table import counts
from tfdgm.studies.write_reports import write_outputs
from tfdgm.system.console import say

#: The config files for single choices on the data of the default config.
DEFAULT_ADDED = Packaged("digits/matrix")

_MOST_SEEDS = 1_000
_CHOSEN_BY_FLAGS = re.compile(r"^\s*experiment\.(posterior|prior|objectives|seed)\s*=", re.MULTILINE)


def define_flags(values: flags.FlagValues) -> None:
    repeatable = "comma separated or repeated; "
    flags.DEFINE_string("workdir", None, "folder of the matrix; runs/matrix-TIME by default", flag_values=values)
    flags.DEFINE_multi_string(
        "gin_file",
        [],
        f"config file of every cell; may be repeated; {DEFAULT_CONFIG} with --gin_for={DEFAULT_ADDED} by default",
        flag_values=values,
    )
    flags.DEFINE_multi_string("gin_bindings", [], "a gin statement for every cell; may be repeated", flag_values=values)
    flags.DEFINE_multi_string(
        "gin_for",
        [],
        "KIND.NAME=FILE, a config file to add where that choice is made, or a folder of files KIND.NAME.gin; "
        "may be repeated",
        flag_values=values,
    )
    flags.DEFINE_multi_string("posteriors", [], repeatable + "none is one of them; all by default", flag_values=values)
    flags.DEFINE_multi_string("priors", [], repeatable + "all by default", flag_values=values)
    flags.DEFINE_multi_string(
        "objectives", [], repeatable + "A+B for a list of two; all by default", flag_values=values
    )
    flags.DEFINE_multi_string("seeds", ["0"], repeatable + "0-9 is a range", flag_values=values)
    flags.DEFINE_integer("jobs", 1, "processes at a time; they share the cores evenly", flag_values=values)
    flags.DEFINE_bool(
        "dry_run", False, "print what would run and what is refused and why, and stop", flag_values=values
    )
    flags.DEFINE_bool("commands", False, "dry run: print the command of each cell too", flag_values=values)
    define_holding_flags(values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    if values.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {values.jobs}")
    if values.commands and not values.dry_run:
        raise UserError("--commands needs --dry_run: it prints what would run")
    if values.workdir or values.dry_run:
        return _in(Path(values.workdir or "runs/matrix-TIME"), values)
    with new_folder(Path("runs"), "matrix") as folder:
        return _in(folder, values)


def _in(path: Path, values: flags.FlagValues) -> int:
    folder = Folder(path, values.trust_workdir, not values.no_lock)
    folder.check()
    chosen_cells, settings = _Choices.read(values), _settings(values)
    if values.dry_run:
        plan = _plan(chosen_cells, settings, folder)
        for line in described(plan, values.commands):
            print(line)
        return 0
    empty = not folder.path.exists() or not any(folder.path.iterdir())
    new = _plan(chosen_cells, settings, folder) if empty else None  # a mistake leaves no folder behind
    with folder.held():
        plan = new or _plan(chosen_cells, settings, folder)
        write_outputs(folder, plan.results.values())
        return _train(plan, settings, folder, values.jobs)


@dataclasses.dataclass(frozen=True)
class _Choices:
    posteriors: list[str]
    priors: list[str]
    objectives: list[tuple[str, ...]] | None
    seeds: list[int]

    @staticmethod
    def read(values: flags.FlagValues) -> "_Choices":
        wanted = [text.split("+") for text in _split(values.objectives)]
        terms = [tuple(name for term in names for name in chosen("objective", [term.strip()])) for names in wanted]
        return _Choices(
            chosen("posterior", _split(values.posteriors)),
            chosen("prior", _split(values.priors)),
            list(dict.fromkeys(terms)) or None,
            list(dict.fromkeys(seed for text in _split(values.seeds) for seed in _seeds(text))),
        )


def _split(texts: Iterable[str]) -> list[str]:
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


def _settings(values: flags.FlagValues) -> CellSettings:
    for binding in values.gin_bindings:
        taken = _CHOSEN_BY_FLAGS.search(binding)
        if taken:
            flag = f"--{taken[1].rstrip('s')}s"
            raise UserError(f"--gin_bindings: {binding.strip()}\n  a matrix chooses experiment.{taken[1]} by {flag}")
    by_default = [] if values.gin_file else [DEFAULT_ADDED]
    added = read_added([*by_default, *values.gin_for])
    files = values.gin_file or [in_flags(DEFAULT_CONFIG)]
    return CellSettings(files, values.gin_bindings, added, holding_flags(values))


def _plan(choices: _Choices, settings: CellSettings, folder: Folder) -> Plan:
    """Finds out which cells are refused.

    Raises:
      UserError: none is left.
    """
    with Checker() as checker:
        say("checking which combinations have a meaning")
        check_settings(settings, checker.ask)
        objectives = choices.objectives or objective_lists(traits_of_objectives(checker.ask))
        cells = combine(choices.posteriors, choices.priors, objectives, choices.seeds)
        with counted(f"of {len(cells)} checked") as told:
            plan = make_plan(cells, settings, folder, checker.ask, told)
    asked = [plan.results[cell] for cell in cells]
    if asked and all(result.status == REFUSED for result in asked):
        reasons = dict.fromkeys(f"{result.cell}: {result.reason}" for result in asked[:5])
        raise UserError(f"no cell is left: all {len(asked)} are refused; the first are\n  " + "\n  ".join(reasons))
    return plan


def _train(plan: Plan, settings: CellSettings, folder: Folder, jobs: int) -> int:
    waiting = set(plan.waiting)
    begun = sum((folder.workdir(cell) / "config.gin").exists() for cell in waiting)
    others = counts(result for cell, result in plan.results.items() if cell not in waiting)
    told = [f"{begun} of them begun before"] if begun else []
    told += [f"{number} {status}" for status, number in others.items()]
    say("; ".join([f"{len(waiting)} cells to train, {jobs} at a time", *told]))
    cells: list[Cell] = plan.waiting
    stopped = Runner(folder, plan.results, settings, jobs).run(cells)
    write_outputs(folder, plan.results.values())
    for name in ("matrix.csv", "matrix.md", "index.html"):
        say(f"written to {folder.path / name}")
    if stopped is not None:
        say(f"stopped; to go on, run the same command with {shlex.quote(f'--workdir={folder.path}')}")
        return 128 + stopped
    failed = [plan.results[cell] for cell in cells if plan.results[cell].status == FAILED]
    for result in failed:
        say(f"failed: {result.cell}: {result.reason}; all it said: {folder.log(result.cell)}")
    return 1 if failed else 0
