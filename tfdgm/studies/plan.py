"""Plan a study: find the cells to train, which are neither refused nor done."""

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir
from tfdgm.studies.cells import Cell, CellSettings
from tfdgm.studies.combinations import Traits, installed
from tfdgm.studies.exit_status import DONE, PRUNED, REFUSED, UNFINISHED
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.validator import Ask, config_request, objective_request


@dataclasses.dataclass
class Plan:
    """The cells of a study before training.

    Attributes:
      results: of all requested cells, and of those that earlier commands recorded in the folder.
      waiting: cells to train, in order.
      build_errors: of cells whose model could not be built for another reason than a user error; training such a cell
        shows the full error.
    """

    results: dict[Cell, Result]
    waiting: list[Cell]
    build_errors: dict[Cell, str]


def traits_of_objectives(ask: Ask) -> dict[str, Traits]:
    """Return the traits of every installed objective; the cells of one that does not load are refused."""
    answers = {name: ask(objective_request(name)) for name in installed("objective")}
    fields = [field.name for field in dataclasses.fields(Traits)]
    return {
        name: Traits(**{field: answer[field] for field in fields if field in answer})
        for name, answer in answers.items()
    }


def check_settings(settings: CellSettings, ask: Ask, choices: Sequence[str] = ()) -> None:
    """Validate the shared settings, so that an error in them is reported once and not for every cell.

    Args:
      settings: of the cells.
      ask: sends a request to a validator.
      choices: gin statements that stand for the choices of a cell.

    Raises:
      UserError: a file or name is unknown, or the syntax is wrong.
    """
    from tfdgm.configuration.gin_parser import read_statements  # not at the top: `--help` loads no gin

    together = [[*settings.files, *more] for more in ([], *settings.files_by_choice.values())]
    bindings = [*choices, *settings.bindings]
    for files in together:
        read_statements(files, bindings)  # finds most errors without waiting for TensorFlow
    for files in together:
        answer = ask(config_request(files, bindings, build=False))
        if "refused" in answer:
            raise UserError(answer["refused"])


def make_plan(
    cells: Sequence[Cell],
    settings: CellSettings,
    folder: Folder,
    ask: Ask,
    on_checked: Callable[[int], None] = lambda number: None,
) -> Plan:
    """Read the configuration of every cell, and build the model for one seed of each combination.

    Args:
      cells: the requested cells.
      settings: of the cells.
      folder: of the study.
      ask: sends a request to a validator.
      on_checked: is called with the number of cells that have been checked.

    Raises:
      UserError: the folder holds runs of another configuration.
    """
    plan = Plan(folder.results(), [], {})
    answers: dict[tuple[str, ...], dict[str, Any]] = {}
    differing: list[tuple[Cell, list[str]]] = []
    for number, cell in enumerate(cells):
        workdir = Workdir(folder.workdir(cell))
        train_flags = settings.flags(cell, workdir.path)
        result = plan.results.setdefault(cell, Result(cell))
        files, bindings = settings.config(cell)
        answer = answers.get(cell.combination, {})
        if not {"refused", "raised"} & set(answer):
            build = result.status not in (DONE, PRUNED) and not answer
            answer = ask(config_request(files, bindings, build))
            if build:
                answers[cell.combination] = answer
        if result.status not in (DONE, PRUNED):
            result.command = shlex.join(["tfdgm", "train", *train_flags])
            refused = "refused" in answer
            result.status, result.reason = (REFUSED, answer["refused"]) if refused else (UNFINISHED, "")
            if not refused:
                plan.waiting.append(cell)
            if "raised" in answer:
                plan.build_errors[cell] = answer["raised"]
        changes = workdir.differences(answer["text"]) if "text" in answer else []
        if changes:
            differing.append((cell, changes))
        on_checked(number + 1)
    _refuse_differing(folder, differing)
    plan.waiting.sort(key=lambda cell: cell.seed)  # the first seed compiles for the others, and fills the table first
    plan.results = dict(sorted(plan.results.items(), key=lambda item: item[0].sort_key()))
    return plan


def _refuse_differing(folder: Folder, differing: Sequence[tuple[Cell, list[str]]]) -> None:
    if differing:
        cell, changes = differing[0]
        raise UserError(
            f"{folder.path} holds {len(differing)} run(s) of another configuration; use another --workdir, or omit "
            f"the flags that differ, or delete the runs' folders. Differences in {folder.workdir(cell)}:\n  "
            + "\n  ".join(changes)
        )
