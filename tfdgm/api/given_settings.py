"""The settings that a caller gives by keyword, as gin statements."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfdgm.configuration.gin_grammar import Macro, parse_value
from tfdgm.configuration.gin_parser import Statements
from tfdgm.configuration.shorthand import reference
from tfdgm.errors import UserError, did_you_mean
from tfdgm.runs.experiment_arguments import experiment_arguments

#: The arguments of `experiment` that are a plugin, or a list of plugins, and their kind.
_ROLES = {"likelihood": "likelihood", "encoder": "network", "decoder": "network"}
_LISTS = {"objectives": "objective", "scores": "score", "callbacks": "callback"}

Bindings = str | Sequence[str] | Mapping[str, Any]


def statements_of(bindings: Bindings) -> list[str]:
    """Return the gin statements of a text, of several, or of a dict of values by parameter.

    Raises:
      UserError: a value of the dict cannot be written into a config.
    """
    if isinstance(bindings, str):
        return [bindings]
    if isinstance(bindings, Mapping):
        return [f"{name} = {_literal(name, value)}" for name, value in bindings.items()]
    return list(bindings)


def setting_statements(settings: Mapping[str, Any], before: Statements) -> Iterator[str]:
    """Yield the statement of each argument of `experiment`; plugins are given by name.

    An argument that the config reads from a macro sets the macro, so that whatever else reads it, such as a schedule,
    follows.

    Args:
      settings: by name.
      before: the statements of the config without them.

    Raises:
      UserError: an argument is unknown, or a value cannot be written into a config.
    """
    for name, value in settings.items():
        if name not in experiment_arguments():
            known = [*experiment_arguments(), "objective", "labels", "workdir", "config", "bindings", "progress"]
            raise UserError(f"tfdgm.train has no argument {name!r}. {did_you_mean(name, known)}")
        bound, _ = before.bindings.get(("", "experiment", name), (None, ""))
        text = _value(name, value)
        yield f"{bound.name} = {text}" if isinstance(bound, Macro) else f"experiment.{name} = {text}"


def _value(name: str, value: Any) -> str:
    if name in _ROLES and isinstance(value, str):
        scope = f"{name}/" if _ROLES[name] == "network" else ""
        return reference(_ROLES[name], value, scope)
    if name in _LISTS and isinstance(value, (str, list, tuple)):
        names = [value] if isinstance(value, str) else value
        if all(isinstance(each, str) for each in names):
            return f"[{', '.join(reference(_LISTS[name], each) for each in names)}]"
    return _literal(name, value)


def _literal(name: str, value: Any) -> str:
    """Return the text of a number, text, None, or list, tuple or dict of these."""
    text = repr(_plain(value))
    try:
        parse_value(text)
    except UserError:
        raise UserError(
            f"{name} = {value!r:.200} ({type(value).__name__}) cannot be written into a config: give a number, a text, "
            "None, or a list, tuple or dict of these; plugins by name, and their parameters by bindings; or objects to "
            "tfdgm.experiment(...), and its result as experiment="
        ) from None
    return text


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value
