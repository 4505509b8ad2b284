"""The settings of a run, by parameter, from the configurations in its workdir."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdgm.configuration.call_graph import ConfigGraph
from tfdgm.configuration.gin_grammar import Include, Macro, Reference, parse
from tfdgm.errors import UserError
from tfdgm.runs.experiment_arguments import free_arguments
from tfdgm.runs.workdir import Workdir
from tfdgm.system.files import read_bytes

#: Scope and name of a configurable, and a parameter of it.
Key = tuple[str, str, str]


@dataclasses.dataclass(frozen=True)
class RecordedSettings:
    """The settings of a run.

    Attributes:
      config: the values that `config.gin` sets, by key, without macros.
      used: the values that the run used, defaults included, by scope; None if it has not ended.
      macros: the name of the macro that a key of `config` reads as its value.
      selectors: the configurables that the experiment uses.
    """

    config: Mapping[Key, Any]
    used: Mapping[Key, Any] | None
    macros: Mapping[Key, str]
    selectors: frozenset[str]

    def statement(self, key: Key) -> Key | None:
        """Return the key of the statement in `config.gin` that sets a parameter, or None if it has its default."""
        scope, selector, parameter = key
        parts = scope.split("/") if scope else []
        for length in range(len(parts), -1, -1):  # the innermost scope takes precedence
            if (found := ("/".join(parts[:length]), selector, parameter)) in self.config:
                return found
        return None

    def macro(self, key: Key) -> str | None:
        """Return the macro that a parameter reads as its value, or None."""
        found = self.statement(key)
        return None if found is None else self.macros.get(found)


def read_settings(workdir: Workdir) -> RecordedSettings | None:
    """Return the settings of the run in a workdir, or None if it was made in Python and has no configuration.

    The seed is left out, and what a resumed run may change, such as checkpoints, callbacks and devices; so are absolute
    paths of data, which its fingerprint identifies wherever it is stored.

    Raises:
      UserError: `config.gin` is damaged.
    """
    text = workdir.saved_config()
    if text is None:
        return None
    config, macros, selectors = _parsed(text, str(workdir.config))
    config = {key: value for key, value in config.items() if not (_is_free(key) or _is_path_of_data(key, value))}
    run = RecordedSettings(config, None, macros, frozenset(selectors))
    if (operative := _operative(workdir.path)) is None:
        return run
    used = {  # of an extended run that was interrupted, config.gin is newer
        key: value if (newer := run.statement(key)) is None else config[newer]
        for key, value in operative.items()
        if not (_is_free(key) or _is_path_of_data(key, value))
    }
    return dataclasses.replace(run, used=used)


def _operative(path: Path) -> dict[Key, Any] | None:
    """Return all values that the run used, defaults included, from its last step; None if it has not ended."""
    steps = {file: re.fullmatch(r"operative_config-(\d+)", file.stem) for file in path.glob("operative_config-*.gin")}
    files = {file: int(match[1]) for file, match in steps.items() if match}
    if not files:
        return None
    newest = max(files, key=lambda file: files[file])
    try:
        return _parsed(read_bytes(newest).decode(), str(newest))[0]
    except (OSError, UnicodeDecodeError, UserError):
        return None  # the defaults are then unknown; config.gin has the rest


def _parsed(text: str, source: str) -> tuple[dict[Key, Any], dict[Key, str], set[str]]:
    """Return the values of the parameters in use, the macros that they read as values, and the configurables in use."""
    macros: dict[str, tuple[Any, str]] = {}
    bindings: dict[Key, tuple[Any, str]] = {}
    for statement in parse(text, source):
        if isinstance(statement, Include):
            raise UserError(f"{statement.where}\n  a saved configuration includes no file")
        if statement.parameter:
            key = statement.scope, statement.selector, statement.parameter
            bindings[key] = statement.value, statement.where
        else:
            name = f"{statement.scope}/{statement.selector}" if statement.scope else statement.selector
            macros[name] = statement.value, statement.where
    used = ConfigGraph(macros, bindings).check()  # also refuses cycles of macros
    kept = {key: value for key, (value, _) in bindings.items() if key[1] in used}
    names = {key: value.name for key, value in kept.items() if isinstance(value, Macro)}
    return {key: _without_macros(value, macros) for key, value in kept.items()}, names, used


def _without_macros(value: Any, macros: Mapping[str, tuple[Any, str]]) -> Any:
    if isinstance(value, Macro):
        return _without_macros(macros[value.name][0], macros) if value.name in macros else value
    if isinstance(value, dict):
        return {key: _without_macros(item, macros) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_without_macros(item, macros) for item in value)
    return value


def _is_free(key: Key) -> bool:
    _, selector, parameter = key
    if selector == "experiment":
        return parameter == "seed" or parameter in free_arguments()
    return selector.startswith("callback.")


def _is_path_of_data(key: Key, value: Any) -> bool:
    texts = value if isinstance(value, (list, tuple)) else [value]
    return key[1].startswith("data.") and any(isinstance(text, str) and text.startswith("/") for text in texts)


def shown_value(value: Any) -> str:
    """Return a value for people: instances by the last part of their names, lists joined."""
    if isinstance(value, Reference):
        return value.selector.rpartition(".")[2]
    if isinstance(value, (list, tuple)):
        return ", ".join(shown_value(item) for item in value) or "none"
    return value if isinstance(value, str) else repr(value)
