"""Whether a likelihood fits the data, and which installed ones do if it does not."""

import dataclasses
import inspect
import math

from tfdgm.contracts.data import Data
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.registry import OWN_PACKAGE, find, load
from tfdgm.errors import UserError


def check_likelihood(likelihood: Likelihood, data: Data) -> None:
    """Refuse a likelihood whose support does not hold x; the message has the bindings of those that fit.

    Raises:
      UserError: `likelihood.check` refuses the data.
    """
    try:
        likelihood.check(data.spec)
    except UserError as error:
        choices = [f"experiment.likelihood = @{name}()" for name in fitting(data)]
        if binarization := _binarization(likelihood, data):
            choices.append(binarization)
        raise UserError(f"{error}. Write {' or '.join(choices)}" if choices else str(error)) from error


def fitting(data: Data) -> list[str]:
    """Return the gin names of our own likelihoods that fit x, with their defaults, the smallest decoder output first.

    For grey levels and counts these are probabilities, and densities only if there are none.
    """
    found: list[tuple[bool, int, str]] = []
    for plugin in find():
        if plugin.kind != "likelihood" or plugin.package != OWN_PACKAGE:
            continue
        try:
            likelihood = load(plugin)()
            likelihood.check(data.spec)
            outputs = math.prod(likelihood.output_shape(data.spec))
        except UserError:
            continue
        found.append((likelihood.discrete, outputs, plugin.gin_name))
    wants_discrete = data.spec.levels is not None or data.spec.counts
    suited = [each for each in found if each[0] == wants_discrete] or found
    return [name for _, _, name in sorted(suited)]


def _binarization(likelihood: Likelihood, data: Data) -> str | None:
    """Return the binding that makes x binary, if the data offers it and the likelihood then fits."""
    choice = inspect.signature(type(data)).parameters.get("binarization")
    if choice is None or data.spec.levels is None or "dynamic" not in str(choice.annotation):
        return None
    try:
        likelihood.check(dataclasses.replace(data.spec, levels=2))
    except UserError:
        return None
    return f'{data.display_name()}.binarization = "dynamic"'
