"""Cells are all combinations of the installed posteriors (and none), priors, and objectives: each alone, and each bound
with each that has an adversary or does not train the decoder. Invalid combinations are refused with the reason; `tfdgm
train` trains and scores each of the others in its own process. Rerunning with the same --workdir resumes; other choices
and seeds add cells.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfdgm.cli.folder_flags import holding_flags
from tfdgm.cli.study_flags import chosen_seeds, define_study_flags, in_its_folder, refuse_if_all_are, run_study, split
from tfdgm.configuration.config_files import DEFAULT_CONFIG, Packaged, in_flags
from tfdgm.errors import UserError
from tfdgm.studies.cells import CellSettings
from tfdgm.studies.combinations import MATRIX, chosen, combine, objective_lists
from tfdgm.studies.config_overrides import read_files_by_choice
from tfdgm.studies.folder import Folder
from tfdgm.studies.plan import Plan, check_settings, make_plan, traits_of_objectives
from tfdgm.studies.study_progress import counted
from tfdgm.studies.validator import Validator
from tfdgm.system.console import say

#: Folder of the config files for single choices on the data of the default config.
DEFAULT_GIN_FOR = Packaged("digits/matrix")

_CHOSEN_BY_FLAGS = re.compile(r"^\s*experiment\.(posterior|prior|objectives|seed)\s*=", re.MULTILINE)


#: Stands for the choices of a cell while the shared settings are read.
_NO_CHOICE = ["experiment.posterior = None", "experiment.prior = None", "experiment.objectives = []"]

EXAMPLES = (
    "tfdgm matrix --dry_run",
    "tfdgm matrix --workdir=runs/matrix --posteriors=gaussian,vq --objectives=elbo,elbo+jsd --seeds=0-2 --jobs=2",
)


def define_flags(values: flags.FlagValues) -> None:
    repeatable = "comma separated or repeated; "
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
    define_study_flags(MATRIX, values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    return in_its_folder(MATRIX, values, _in)


def _in(path: Path, values: flags.FlagValues) -> int:
    folder = Folder(path, MATRIX, values.trust_workdir, not values.no_lock)
    folder.check()
    choices, settings = _Choices.read(values), _settings(values)

    def plan() -> Plan:
        return _plan(choices, settings, folder)

    return run_study(folder, settings, plan, values)


@dataclasses.dataclass(frozen=True)
class _Choices:
    posteriors: list[str]
    priors: list[str]
    objectives: list[tuple[str, ...]] | None
    seeds: list[int]

    @staticmethod
    def read(values: flags.FlagValues) -> "_Choices":
        lists = [text.split("+") for text in split(values.objectives)]
        terms = [tuple(name for term in names for name in chosen("objective", [term.strip()])) for names in lists]
        return _Choices(
            chosen("posterior", split(values.posteriors)),
            chosen("prior", split(values.priors)),
            list(dict.fromkeys(terms)) or None,
            chosen_seeds(values),
        )


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
        check_settings(settings, validator.ask, _NO_CHOICE)
        objectives = choices.objectives or objective_lists(traits_of_objectives(validator.ask))
        cells = combine(choices.posteriors, choices.priors, objectives, choices.seeds)
        with counted(f"of {len(cells)} checked") as show_count:
            plan = make_plan(cells, settings, folder, validator.ask, show_count)
    refuse_if_all_are(plan, cells)
    return plan
