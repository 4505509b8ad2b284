"""Units of what training logs."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tfdgm.contracts.quantity import Quantity

if TYPE_CHECKING:  # pages of studies are written without TensorFlow
    from tfdgm.contracts.objective import Objective


def units_of(objectives: Iterable["Objective"]) -> dict[str, str]:
    """Return the units of what objectives log and estimate, by name."""
    return {name: unit for objective in objectives for name, unit in objective.units.items()}


def logged_unit(name: str, quantities: Mapping[str, Quantity], units: Mapping[str, str]) -> str:
    """Return the unit of a metric in `metrics.jsonl`; empty if it has none or an unknown one.

    Args:
      name: without the prefix of validations; `OBJECTIVE/NAME` has the unit of `NAME`.
      quantities: of the run's scores, by key.
      units: of what the objectives log, by name.
    """
    last = name.rsplit("/", 1)[-1]
    if last in units:
        return units[last]
    quantity = quantities.get(name) or quantities.get(last)
    return quantity.unit if quantity else ""
