"""Which cells are to be trained: those that are not refused and not done."""

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir
from tfdgm.studies.cells import Cell, CellSettings, Traits, installed
from tfdgm.studies.check import Ask, about_config, about_objective
from tfdgm.studies.exit_status import DONE, REFUSED, UNFINISHED
from tfdgm.studies.folder import Folder, Result

#: Stands for the choices of a cell while what all cells share is read.
_NO_CHOICE = "experiment.posterior = None\nexperiment.prior = None\nexperiment.objectives = []"


@dataclasses.dataclass
class Plan:
    """What is known before training.

    Attributes:
      results: of all cells that were asked for, and of those that earlier commands left in the folder.
      waiting: cells to train, in order.
      doubts: by cell, what went wrong in making it, other than a refusal; training will show it in full.
    """

    results: dict[Cell, Result]
    waiting: list[Cell]
    doubts: dict[Cell, str]


def traits_of_objectives(ask: Ask) -> dict[str, Traits]:
    """The traits of every installed objective; one that does not load has none, and its cells will be refused."""
    answers = {name: ask(about_objective(name)) for name in installed("objective")}
    fields = [field.name for field in dataclasses.fields(Traits)]
    return {name: Traits(**{field: answer.get(field, False) for field in fields}) for name, answer in answers.items()}


def check_settings(settings: CellSettings, ask: Ask) -> None:
    """Reads what the cells share, so that a mistake there is told once.

    Raises:
      UserError: a file or name is unknown, or the syntax is wrong.
    """
    from tfdgm.configuration.gin_parser import read_statements  # not at the top: `--help` loads no gin

    together = [[*settings.files, *added] for added in ([], *settings.added.values())]
    bindings = [_NO_CHOICE, *settings.bindings]
    for files in together:
        read_statements(files, bindings)  # most slips show without TensorFlow, which the answers need
    for files in together:
        answer = ask(about_config(files, bindings, build=False))
        if "refused" in answer:
            raise UserError(answer["refused"])


def make_plan(
    cells: Sequence[Cell],
    settings: CellSettings,
    folder: Folder,
    ask: Ask,
    told: Callable[[int], None] = lambda done: None,
) -> Plan:
    """Reads every cell's configuration, and makes what it describes for one seed of each combination.

    Args:
      cells: those that were asked for.
      settings: what they share.
      folder: where they are, or will be.
      ask: answers what needs TensorFlow.
      told: is called with the number of cells that are checked.

    Raises:
      UserError: the folder holds runs of another configuration.
    """
    plan = Plan(folder.results(), [], {})
    made: dict[tuple[str, str, str], dict[str, Any]] = {}
    differing: list[tuple[Cell, list[str]]] = []
    for number, cell in enumerate(cells):
        workdir = Workdir(folder.workdir(cell))
        train_flags = settings.flags(cell, workdir.path)
        result = plan.results.setdefault(cell, Result(cell))
        files, bindings = settings.config(cell)
        answer = made.get(cell.combination, {})
        if not {"refused", "raised"} & set(answer):
            build = result.status != DONE and not answer
            answer = ask(about_config(files, bindings, build))
            if build:
                made[cell.combination] = answer
        if result.status != DONE:
            result.command = shlex.join(["tfdgm", "train", *train_flags])
            refused = "refused" in answer
            result.status, result.reason = (REFUSED, answer["refused"]) if refused else (UNFINISHED, "")
            if not refused:
                plan.waiting.append(cell)
            if "raised" in answer:
                plan.doubts[cell] = answer["raised"]
        changes = workdir.differences(answer["text"]) if "text" in answer else []
        if changes:
            differing.append((cell, changes))
        told(number + 1)
    _refuse_others(folder, differing)
    plan.waiting.sort(key=lambda cell: cell.seed)  # the first seed compiles for the others, and fills the table first
    plan.results = dict(sorted(plan.results.items(), key=lambda item: item[0].place()))
    return plan


def _refuse_others(folder: Folder, differing: Sequence[tuple[Cell, list[str]]]) -> None:
    if differing:
        cell, changes = differing[0]
        raise UserError(
            f"{folder.path} holds {len(differing)} run(s) of another configuration; use another --workdir, or leave "
            f"out what differs, or delete the runs' folders. Of {folder.workdir(cell)}:\n  " + "\n  ".join(changes)
        )
