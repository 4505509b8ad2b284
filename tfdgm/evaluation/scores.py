"""Units of the scores, and of what training logs."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pages of studies are written without TensorFlow
    from tfdgm.contracts.objective import Objective

#: Units of the scores that are not nats per example.
_UNITS = {
    "code_perplexity": "codes",
    "code_usage": "share of the codes",
    "code_bits": "bits per code",
    "modes": "modes",
    "high_quality": "share of the samples",
    "reverse_kl": "nats",
    "precision": "share of the samples",
    "recall": "share of the data",
    "density": "of the data's own",
    "coverage": "share of the data",
    "frechet_distance": "squared units of the features",
    "mmd": "squared, at most 2",
    "wasserstein": "units of x",
    "sliced_wasserstein": "units of x",
}
#: Units of other metrics that training logs; a loss has the unit of its terms, which the configuration chooses.
_LOGGED = dict.fromkeys(("elbo", "reconstruction", "rate"), "nats per example")


def units_of(objectives: Iterable["Objective"]) -> dict[str, str]:
    """Return the units of what objectives log and estimate, by name."""
    return {name: unit for objective in objectives for name, unit in objective.units.items()}


def unit(name: str, value: Any, units: Mapping[str, str]) -> str:
    """Return the unit of a score; counts and names have none.

    Args:
      name: name of the score; `OBJECTIVE/NAME` has the unit of `NAME`.
      value: value of the score.
      units: units of the scores that the objectives estimate.
    """
    last = name.rsplit("/", 1)[-1]
    return units.get(last) or _UNITS.get(last, "nats per example" if isinstance(value, float) else "")


def logged_unit(name: str, units: Mapping[str, str]) -> str:
    """Return the unit of a metric in `metrics.jsonl`; empty if it has none or an unknown one."""
    last = name.rsplit("/", 1)[-1]
    return units.get(last) or _LOGGED.get(last) or _UNITS.get(last, "")
