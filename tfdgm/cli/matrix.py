"""Cells are all combinations of the installed posteriors (and none), priors, and objectives: each alone, and each bound
with each that has an adversary or does not train the decoder. Invalid combinations are refused with the reason; `tfdgm
train` trains and scores each of the others in its own process. Rerunning with the same --workdir resumes; other choices
and seeds add cells.
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
from tfdgm.studies.config_overrides import read_files_by_choice
from tfdgm.studies.dry_run import describe_plan
from tfdgm.studies.exit_status import FAILED, REFUSED
from tfdgm.studies.folder import Folder
from tfdgm.studies.plan import Plan, check_settings, make_plan, traits_of_objectives
from tfdgm.studies.runner import Runner
from tfdgm.studies.study_progress import counted
from tfdgm.studies.table import counts
from tfdgm.studies.validator import Validator
from tfdgm.studies.write_reports import write_reports
from tfdgm.system.console import say

#: Folder of the config files for single choices on the data of the default config.
DEFAULT_GIN_FOR = Packaged("digits/matrix")

_MOST_SEEDS = 1_000
_CHOSEN_BY_FLAGS = re.compile(r"^\s*experiment\.(posterior|prior|objectives|seed)\s*=", re.MULTILINE)


EXAMPLES = (
    "tfdgm matrix --dry_run",
    "tfdgm matrix --workdir=runs/matrix --posteriors=gaussian,vq --objectives=elbo,elbo+jsd --seeds=0-2 --jobs=2",
)


def define_flags(values: flags.FlagValues) -> None:
    repeatable = "comma separated or repeated; "
    flags.DEFINE_string("workdir", None, "folder of the matrix; runs/matrix-TIME by default", flag_values=values)
    flags.DEFINE_multi_string(
        "gin_file",
        [],
        f"config file of every cell; may be repeated; {DEFAULT_CONFIG} with --gin_for={DEFAULT_GIN_FOR} by default",
        flag_values=values,
    )
    flags.DEFINE_multi_string("gin_bindings", [], "gin statement for every cell; may be repeated", flag_values=values)
    flags.DEFINE_multi_string(
        "gin_for",
        [],
        "KIND.NAME=FILE, a config file for the cells with that choice, or a folder of files KIND.NAME.gin; "
        "may be repeated",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "posteriors", [], repeatable + "none is a model without inference; all by default", flag_values=values
    )
    flags.DEFINE_multi_string("priors", [], repeatable + "all by default", flag_values=values)
    flags.DEFINE_multi_string("objectives", [], repeatable + "A+B trains on both; all by default", flag_values=values)
    flags.DEFINE_multi_string("seeds", ["0"], repeatable + "0-9 is a range", flag_values=values)
    flags.DEFINE_integer("jobs", 1, "number of parallel processes, which share the cores evenly", flag_values=values)
    flags.DEFINE_bool(
        "dry_run", False, "print the cells to train and those that are refused, and stop", flag_values=values
    )
    flags.DEFINE_bool("commands", False, "with --dry_run: print the command of each cell too", flag_values=values)
    define_holding_flags(values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    if values.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {values.jobs}")
    if values.commands and not values.dry_run:
        raise UserError("--commands requires --dry_run")
    if values.workdir or values.dry_run:
        return _in(Path(values.workdir or "runs/matrix-TIME"), values)
    with new_folder(Path("runs"), "matrix") as folder:
        return _in(folder, values)


def _in(path: Path, values: flags.FlagValues) -> int:
    folder = Folder(path, values.trust_workdir, not values.no_lock)
    folder.check()
    choices, settings = _Choices.read(values), _settings(values)
    if values.dry_run:
        plan = _plan(choices, settings, folder)
        for line in describe_plan(plan, values.commands):
            print(line)
        return 0
    empty = not folder.path.exists() or not any(folder.path.iterdir())
    new = _plan(choices, settings, folder) if empty else None  # first: an error must not leave an empty folder
    with folder.held():
        plan = new or _plan(choices, settings, folder)
        write_reports(folder, plan.results.values())
        return _train(plan, settings, folder, values.jobs)


@dataclasses.dataclass(frozen=True)
class _Choices:
    posteriors: list[str]
    priors: list[str]
    objectives: list[tuple[str, ...]] | None
    seeds: list[int]

    @staticmethod
    def read(values: flags.FlagValues) -> "_Choices":
        lists = [text.split("+") for text in _split(values.objectives)]
        terms = [tuple(name for term in names for name in chosen("objective", [term.strip()])) for names in lists]
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
            raise UserError(f"--gin_bindings: {binding.strip()}\n  tfdgm matrix sets experiment.{taken[1]} with {flag}")
    defaults = [] if values.gin_file else [DEFAULT_GIN_FOR]
    files_by_choice = read_files_by_choice([*defaults, *values.gin_for])
    files = values.gin_file or [in_flags(DEFAULT_CONFIG)]
    return CellSettings(files, values.gin_bindings, files_by_choice, holding_flags(values))


def _plan(choices: _Choices, settings: CellSettings, folder: Folder) -> Plan:
    """Plan the matrix.

    Raises:
      UserError: every cell is refused.
    """
    with Validator() as validator:
        say("checking which combinations are valid")
        check_settings(settings, validator.ask)
        objectives = choices.objectives or objective_lists(traits_of_objectives(validator.ask))
        cells = combine(choices.posteriors, choices.priors, objectives, choices.seeds)
        with counted(f"of {len(cells)} checked") as show_count:
            plan = make_plan(cells, settings, folder, validator.ask, show_count)
    requested = [plan.results[cell] for cell in cells]
    if requested and all(result.status == REFUSED for result in requested):
        reasons = dict.fromkeys(f"{result.cell}: {result.reason}" for result in requested[:5])
        raise UserError(f"all {len(requested)} cells are refused, for example\n  " + "\n  ".join(reasons))
    return plan


def _train(plan: Plan, settings: CellSettings, folder: Folder, jobs: int) -> int:
    waiting = set(plan.waiting)
    started = sum((folder.workdir(cell) / "config.gin").exists() for cell in waiting)
    others = counts(result for cell, result in plan.results.items() if cell not in waiting)
    details = [f"{started} of them already started"] if started else []
    details += [f"{number} {status}" for status, number in others.items()]
    say("; ".join([f"{len(waiting)} cells to train, {jobs} at a time", *details]))
    cells: list[Cell] = plan.waiting
    stopped = Runner(folder, plan.results, settings, jobs).run(cells)
    write_reports(folder, plan.results.values())
    for name in ("matrix.csv", "matrix.md", "index.html"):
        say(f"written to {folder.path / name}")
    if stopped is not None:
        say(f"stopped; to resume, run the same command with {shlex.quote(f'--workdir={folder.path}')}")
        return 128 + stopped
    failed = [plan.results[cell] for cell in cells if plan.results[cell].status == FAILED]
    for result in failed:
        say(f"failed: {result.cell}: {result.reason}; full output: {folder.log(result.cell)}")
    return 1 if failed else 0
