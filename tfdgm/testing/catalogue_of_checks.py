"""All checks, by kind: importing this module registers them."""

from tfdgm.contracts.registry import KINDS
from tfdgm.errors import UserError
from tfdgm.testing import (
    call_checks,
    callback_checks,
    class_checks,
    condition_checks,
    data_checks,
    device_checks,
    likelihood_checks,
    network_checks,
    objective_checks,
    posterior_checks,
    prior_checks,
    score_checks,
    variable_checks,
)
from tfdgm.testing.checks import REGISTERED, ConformanceCheck

#: The modules of checks, in the order in which their checks run.
MODULES = (
    class_checks,
    variable_checks,
    call_checks,
    device_checks,
    prior_checks,
    posterior_checks,
    likelihood_checks,
    network_checks,
    objective_checks,
    data_checks,
    condition_checks,
    score_checks,
    callback_checks,
)


def checks_of(kind: str) -> list[ConformanceCheck]:
    """Return the checks of a kind of plugin, in order."""
    if kind not in KINDS:
        raise UserError(f"there is no plugin kind {kind!r}")
    order = [module.__name__ for module in MODULES]
    chosen = [each for each in REGISTERED if kind in each.kinds and each.function.__module__ in order]
    return sorted(chosen, key=lambda each: order.index(each.function.__module__))
