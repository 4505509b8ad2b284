"""Train and score combinations of values of any settings, each in its own process: a grid, or, with --trials, a search
by Optuna (TPE or random, with a pruner that stops runs which do worse than others). A setting of a plugin is varied
only where the plugin is chosen. Values are gin values separated by commas, or linear(LOW, HIGH[, COUNT]), log(LOW,
HIGH[, COUNT]) or integers(LOW, HIGH[, STEP]); a grid needs the counts. Rerunning with the same --workdir resumes; other
values and seeds add cells, and a larger --trials goes on with the search.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from absl import flags

from tfdgm.cli.folder_flags import holding_flags
from tfdgm.cli.study_flags import chosen_seeds, define_study_flags, in_its_folder, refuse_if_all_are, run_study
from tfdgm.configuration.config_files import DEFAULT_CONFIG, in_flags
from tfdgm.errors import UserError
from tfdgm.studies.cells import Cell, CellSettings
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.goals import Goal
from tfdgm.studies.plan import Plan, check_settings, make_plan
from tfdgm.studies.runner import Fixed, Supply
from tfdgm.studies.search import PRUNERS, SAMPLERS, STORAGE, Method, Search, import_optuna
from tfdgm.studies.study_progress import counted
from tfdgm.studies.summary import best_lines
from tfdgm.studies.sweep_cells import SWEEP, SweepCell, check_names, combination_of, given, grid
from tfdgm.studies.validator import Validator, config_request
from tfdgm.studies.varied import Varied, read_varied
from tfdgm.system.console import say

REQUIRED = ("vary",)

EXAMPLES = (
    "tfdgm sweep --vary='experiment.latent_size = 2, 4, 8' --vary='experiment.prior = @prior.gaussian(), @prior.maf()' "
    "--seeds=0-2 --jobs=2 --goal='validation_elbo largest'",
    "tfdgm sweep --gin_bindings='steps = 500' --vary='experiment.latent_size = integers(2, 16)' "
    "--vary='keras.optimizers.schedules.CosineDecay.initial_learning_rate = log(1e-4, 1e-2)' "
    "--trials=20 --goal='validation_elbo largest' --pruner=median",
)

_SEED = re.compile(r"^\s*experiment\.seed\s*=", re.MULTILINE)


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "gin_file", [], f"config file of every cell; may be repeated; {DEFAULT_CONFIG} by default", flag_values=values
    )
    flags.DEFINE_multi_string("gin_bindings", [], "gin statement for every cell; may be repeated", flag_values=values)
    flags.DEFINE_multi_string("vary", [], "NAME = VALUES; may be repeated", flag_values=values)
    flags.DEFINE_string(
        "goal", None, "'NAME largest' or 'NAME smallest': the number that is best where", flag_values=values
    )
    flags.DEFINE_integer(
        "trials", None, "search so many combinations instead of the grid; needs --goal", flag_values=values
    )
    flags.DEFINE_enum("sampler", None, SAMPLERS, "how --trials are drawn; tpe by default", flag_values=values)
    flags.DEFINE_enum(
        "pruner", None, PRUNERS, "how --trials are stopped for their --goal; none by default", flag_values=values
    )
    define_study_flags(SWEEP, values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    return in_its_folder(SWEEP, values, _in)


def _in(path: Path, values: flags.FlagValues) -> int:
    folder = Folder(path, SWEEP, values.trust_workdir, not values.no_lock)
    folder.check()
    varied, settings, seeds = read_varied(values.vary), _settings(values), chosen_seeds(values)
    goal = Goal.read(values.goal) if values.goal else None
    _check_flags(values, goal)
    check_names(varied, settings)
    _check_folder(folder, varied, searching=values.trials is not None)
    with ExitStack() as stack:
        validator = stack.enter_context(Validator())

        def plan() -> Plan:
            say("checking which values are valid")
            check_settings(settings, validator.ask)
            if values.trials is not None:
                _check_values(varied, settings, validator)
                return Plan(folder.results(), [], {})
            cells = grid(varied, settings, seeds)
            with counted(f"of {len(cells)} checked") as show_count:
                made = make_plan(cells, settings, folder, validator.ask, show_count)
            refuse_if_all_are(made, cells)
            return made

        def supply(made: Plan) -> Supply:
            if values.trials is None or goal is None:
                validator.close()  # it holds TensorFlow
                return Fixed(made.waiting)

            def add(cells: Sequence[SweepCell]) -> dict[Cell, Result]:
                planned = make_plan(cells, settings, folder, validator.ask).results
                added: dict[Cell, Result] = {cell: planned[cell] for cell in cells}
                made.results.update(added)
                return added

            method = Method(values.trials, values.sampler or "tpe", values.pruner or "none")
            return Search(folder, varied, settings, goal, seeds, method, add)

        code = run_study(folder, settings, plan, values, supply)
    if goal is not None and not values.dry_run:
        for line in best_lines(folder, goal):
            say(line)
    return code


def _settings(values: flags.FlagValues) -> CellSettings:
    for binding in values.gin_bindings:
        if _SEED.search(binding):
            raise UserError(f"--gin_bindings: {binding.strip()}\n  tfdgm sweep sets experiment.seed with --seeds")
    files = values.gin_file or [in_flags(DEFAULT_CONFIG)]
    return CellSettings(files, values.gin_bindings, {}, holding_flags(values))


def _check_flags(values: flags.FlagValues, goal: Goal | None) -> None:
    if values.trials is None:
        for name in ("sampler", "pruner"):
            if values[name].value is not None:
                raise UserError(f"--{name} needs --trials, the number of combinations to search")
        return
    if values.trials < 1:
        raise UserError(f"--trials must be at least 1, got {values.trials}")
    if goal is None:
        raise UserError("--trials needs --goal='NAME largest' or --goal='NAME smallest', as 'validation_elbo largest'")
    if values.commands:
        raise UserError("--commands: a search chooses its cells while it runs; omit --trials, or --commands")
    import_optuna()


def _check_folder(folder: Folder, varied: Sequence[Varied], searching: bool) -> None:
    """Refuse a folder whose cells vary other settings, or that was searched if this sweep is a grid, and vice versa."""
    results = folder.results()
    names = tuple(each.name for each in varied)
    for cell in results:
        assert isinstance(cell, SweepCell)
        if cell.names != names:
            raise UserError(
                f"{folder.path} holds a sweep over {', '.join(cell.names)}, not {', '.join(names)}; use another "
                "--workdir, or the same --vary in the same order"
            )
    searched = (folder.path / STORAGE).exists()
    if results and searched != searching:
        held, wanted = ("a search", "a grid") if searched else ("a grid", "a search")
        raise UserError(f"{folder.path} holds {held}, not {wanted}; use another --workdir")


def _check_values(varied: Sequence[Varied], settings: CellSettings, validator: Validator) -> None:
    """Build the model with every value that can be counted and with the ends of ranges, the others being their first.

    Raises:
      UserError: a value is refused; of those that choose a plugin, all are refused.
    """
    first = {each.name: _tried(each)[0] for each in varied}
    for each in varied:
        refusals = {}
        for text in _tried(each):
            texts = combination_of(varied, settings, given({**first, each.name: text}))
            cell = SweepCell(tuple(other.name for other in varied), texts, 0)
            answer = validator.ask(config_request(*settings.config(cell), build=True))
            if "refused" in answer:
                refusals[text] = answer["refused"]
        if refusals and (not each.chooses_plugins or len(refusals) == len(_tried(each))):
            text, reason = next(iter(refusals.items()))
            raise UserError(f"--vary: {each.name} = {text} is refused:\n  {reason}")


def _tried(each: Varied) -> list[str]:
    if each.interval is None:
        return list(each.values)
    if each.interval.step is not None:
        return [str(int(each.interval.low)), str(int(each.interval.high))]
    return [repr(each.interval.low), repr(each.interval.high)]
