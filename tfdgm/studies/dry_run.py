"""What a dry run prints: cells that share a fate and its reason share lines, and the totals come last."""

from collections.abc import Iterable, Iterator, Sequence

from tfdgm.studies.cells import Cell
from tfdgm.studies.exit_status import REFUSED
from tfdgm.studies.plan import Plan

Box = tuple[tuple[str, ...], ...]
_AXES = ("posterior", "prior", "objectives", "seed")


def described(plan: Plan, commands: bool = False) -> Iterator[str]:
    """What would run, what is done, and what is refused and why, by lines.

    Args:
      plan: what is known before training.
      commands: whether to print the command of each cell to train too.
    """
    fates: dict[str, dict[str, list[Cell]]] = {}
    waiting = set(plan.waiting)
    for cell, result in plan.results.items():
        fate = "to train" if cell in waiting else result.status
        reason = plan.doubts.get(cell, "") if cell in waiting else result.reason
        fates.setdefault(fate, {}).setdefault(reason, []).append(cell)
    ordered = sorted(fates, key=lambda fate: fate == REFUSED)  # the reasons stay in sight, at the end
    for fate in ordered:
        yield f"{fate}:"
        for reason, cells in fates[fate].items():
            if reason:
                yield f"  {len(cells)}: " + reason.replace("\n", "\n    ")
            indent = "    " if reason else "  "
            yield from (indent + line for line in in_lines(cells))
    if commands:
        yield "commands:"
        yield from (f"  {plan.results[cell].command}" for cell in plan.waiting)
    totals = ", ".join(f"{sum(map(len, fates[fate].values()))} {fate}" for fate in ordered)
    hint = "" if commands or not waiting else "; --commands prints the command of each cell to train"
    yield f"{totals or 'no cell'}{hint}"


def in_lines(cells: Iterable[Cell]) -> list[str]:
    """Cells by as few lines as their common choices allow: all combinations of what a line names."""
    boxes: list[Box] = [
        ((cell.posterior,), (cell.prior,), ("+".join(cell.objectives),), (str(cell.seed),)) for cell in cells
    ]
    for axis in (3, 1, 2, 0):
        boxes = _joined(boxes, axis)
    return ["; ".join(f"{name} {', '.join(box)}" for name, box in zip(_AXES, sides, strict=True)) for sides in boxes]


def _joined(boxes: Sequence[Box], axis: int) -> list[Box]:
    """Boxes that differ along one axis only, as one."""
    sides: dict[Box, tuple[str, ...]] = {}
    for box in boxes:
        rest = box[:axis] + box[axis + 1 :]
        sides[rest] = sides.get(rest, ()) + box[axis]
    return [(*rest[:axis], side, *rest[axis:]) for rest, side in sides.items()]
