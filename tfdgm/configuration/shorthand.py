"""The shorthand flags `--prior`, `--posterior`, `--objective` and `--data` as gin statements."""

from collections.abc import Sequence

from tfdgm.contracts.registry import gin_identifier, select
from tfdgm.errors import UserError

#: The value of `--posterior` for a model without inference.
NONE = "none"


def shorthand_bindings(
    prior: str | None = None,
    posterior: str | None = None,
    objectives: Sequence[str] = (),
    data: str | None = None,
) -> list[str]:
    """Return the gin statements that the shorthand flags stand for.

    Args:
      prior, posterior, data: `NAME` or `PACKAGE/NAME` of an installed plugin; `posterior` may be "none".
      objectives: names of the same kind.

    Raises:
      UserError: a plugin is not installed.
    """
    bindings = []
    if prior:
        bindings.append(f"experiment.prior = {reference('prior', prior)}")
    if posterior == NONE:
        bindings.append("experiment.posterior = None\nexperiment.encoder = None")
    elif posterior:
        bindings.append(f"experiment.posterior = {reference('posterior', posterior)}")
    if objectives:
        terms = ", ".join(reference("objective", name) for name in objectives)
        bindings.append(f"experiment.objectives = [{terms}]")
    if data:
        bindings.append(f"experiment.data = {reference('data', data)}")
    return bindings


def reference(kind: str, name: str, scope: str = "") -> str:
    """Return the gin reference to an installed plugin, `NAME` or `PACKAGE/NAME`; `scope` ends with a slash.

    Raises:
      UserError: it is not installed, or not a name.
    """
    if not isinstance(name, str):
        raise UserError(f"{kind} must be the name of an installed plugin, got {name!r:.200}")
    distribution, _, plain = name.rpartition("/")
    parts = [kind, gin_identifier(distribution), plain] if distribution else [kind, plain]
    gin_name = ".".join(parts)
    select(gin_name)
    return f"@{scope}{gin_name}()"
