"""Describe a plan for a dry run: cells with the same status and reason share lines, and totals come last."""

from collections.abc import Iterable, Iterator, Sequence

from tfdgm.studies.cells import Cell
from tfdgm.studies.exit_status import REFUSED
from tfdgm.studies.plan import Plan

Box = tuple[tuple[str, ...], ...]


def describe_plan(plan: Plan, commands: bool = False) -> Iterator[str]:
    """Yield lines with the cells to train, those that are done, and those that are refused, with reasons.

    Args:
      plan: of the study.
      commands: whether to add the command of each cell to train.
    """
    by_status: dict[str, dict[str, list[Cell]]] = {}
    waiting = set(plan.waiting)
    for cell, result in plan.results.items():
        status = "to train" if cell in waiting else result.status
        reason = plan.build_errors.get(cell, "") if cell in waiting else result.reason
        by_status.setdefault(status, {}).setdefault(reason, []).append(cell)
    ordered = sorted(by_status, key=lambda status: status == REFUSED)  # last, where the reasons are in sight
    for status in ordered:
        yield f"{status}:"
        for reason, cells in by_status[status].items():
            if reason:
                yield f"  {len(cells)}: " + reason.replace("\n", "\n    ")
            indent = "    " if reason else "  "
            yield from (indent + line for line in cell_lines(cells))
    if commands:
        yield "commands:"
        yield from (f"  {plan.results[cell].command}" for cell in plan.waiting)
    totals = ", ".join(f"{sum(map(len, by_status[status].values()))} {status}" for status in ordered)
    hint = "" if commands or not waiting else "; --commands prints the command of each cell to train"
    yield f"{totals or 'no cell'}{hint}"


def cell_lines(cells: Iterable[Cell]) -> list[str]:
    """Return few lines that describe the cells; each line stands for all combinations of the names in it."""
    cells = list(cells)
    axes = [*cells[0].columns, "seed"] if cells else []
    boxes: list[Box] = [tuple((text,) for text in (*cell.combination, str(cell.seed))) for cell in cells]
    for axis in (len(axes) - 1, *range(1, len(axes) - 1), 0):
        boxes = _join(boxes, axis)
    named = [zip(axes, sides, strict=True) for sides in boxes]
    return ["; ".join(f"{name} {', '.join(box)}" for name, box in sides if any(box)) for sides in named]


def _join(boxes: Sequence[Box], axis: int) -> list[Box]:
    """Join boxes that differ along this axis only."""
    sides: dict[Box, tuple[str, ...]] = {}
    for box in boxes:
        rest = box[:axis] + box[axis + 1 :]
        sides[rest] = sides.get(rest, ()) + box[axis]
    return [(*rest[:axis], side, *rest[axis:]) for rest, side in sides.items()]
