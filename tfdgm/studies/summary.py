"""The best combination of a study by its goal, and the commands that train it."""

import statistics
from collections.abc import Iterator

from tfdgm.errors import UserError
from tfdgm.studies.exit_status import DONE
from tfdgm.studies.folder import Folder
from tfdgm.studies.goals import Goal
from tfdgm.studies.table import by_combination, spread
from tfdgm.system.console import warn


def best_lines(folder: Folder, goal: Goal) -> Iterator[str]:
    """Yield lines with the combination whose mean over seeds is best, and the command of each of its runs."""
    groups = by_combination(folder.results().values())
    values: dict[tuple[str, ...], list[float]] = {}
    for combination, group in groups.items():
        workdirs = [folder.workdir(result.cell) for result in group if result.status == DONE]
        try:
            found = [goal.of_run(workdir) for workdir in workdirs]
        except UserError as error:
            warn(str(error))
            return
        if found:
            values[combination] = found
    if not values:
        return
    best = goal.best({combination: statistics.fmean(found) for combination, found in values.items()})
    group = groups[best]
    seeds = f" over {len(values[best])} seeds" if len(values[best]) > 1 else ""
    yield f"best of {len(values)}: {group[0].cell.title[1]}: {goal.name} {spread(values[best])}{seeds}"
    for result in group:
        yield f"  {result.command}"
