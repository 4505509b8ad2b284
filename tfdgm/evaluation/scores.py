"""Units of the scores, and of what training logs."""

from collections.abc import Iterable, Mapping
from typing import Any

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
#: Of what training logs besides; a loss has the unit of its terms, which the configuration chooses.
_LOGGED = dict.fromkeys(("elbo", "reconstruction", "rate"), "nats per example")


def units_of(objectives: Iterable[Objective]) -> dict[str, str]:
    """Return the units of what objectives log and estimate, by name."""
    return {name: unit for objective in objectives for name, unit in objective.units.items()}


def unit(name: str, value: Any, units: Mapping[str, str]) -> str:
    """Return the unit of a score; counts and names have none.

    Args:
      name: of the score; `OBJECTIVE/NAME` has the unit of `NAME`.
      value: of the score.
      units: of the scores that the objectives estimate.
    """
    last = name.rsplit("/", 1)[-1]
    return units.get(last) or _UNITS.get(last, "nats per example" if isinstance(value, float) else "")


def logged_unit(name: str, units: Mapping[str, str]) -> str:
    """Return the unit of a metric in `metrics.jsonl`; nothing where it has none, or where that is not known."""
    last = name.rsplit("/", 1)[-1]
    return units.get(last) or _LOGGED.get(last) or _UNITS.get(last, "")
