"""The words that may stand at the end of a command line, for the completion of shells."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags

from tfdgm.cli.command_help import distinct
from tfdgm.cli.main import COMMANDS, parser
from tfdgm.configuration.config_files import config_root
from tfdgm.contracts.registry import find
from tfdgm.errors import UserError
from tfdgm.runs.experiment_arguments import experiment_arguments


def candidates(words: Sequence[str]) -> list[str]:
    """Return what may stand in place of the last word.

    A candidate that ends with =, / or a comma continues in the same word.

    Args:
      words: of the command line after `tfdgm`, the last of them unfinished, perhaps empty.
    """
    *before, current = words
    if not before:
        return _starting(current, [*COMMANDS, "--help", "--version"])
    try:
        module, values = parser(before[0])
    except UserError:
        return []
    name, equals, value = current.partition("=")
    if equals and name.startswith("--"):
        return [f"{name}={found}" for found in _values(values, name, value)]
    if before[1:] and "=" not in before[-1] and _takes_value(values, before[-1]):
        return _values(values, before[-1], current)
    if current.startswith("-"):
        return _starting(current, [f"--{flag.name}{'' if flag.boolean else '='}" for flag in distinct(values)])
    if getattr(module, "FOLDERS", False):
        return [path for path in _paths(current) if path.endswith("/")]
    return _starting(current, _positional(module, before[1:]))


def _positional(module: ModuleType, before: Sequence[str]) -> list[str]:
    complete: Callable[[Sequence[str]], list[str]] | None = getattr(module, "complete", None)
    return complete([word for word in before if not word.startswith("-")]) if complete else []


def _flag(values: flags.FlagValues, word: str) -> Any:
    name = word.lstrip("-")
    return values[name] if word.startswith("--") and name in values else None


def _takes_value(values: flags.FlagValues, word: str) -> bool:
    flag = _flag(values, word)
    return flag is not None and not flag.boolean


def _values(values: flags.FlagValues, word: str, beginning: str) -> list[str]:
    """Return the values of a flag that begin so."""
    flag = _flag(values, word)
    if flag is None:
        return []
    *former, last = beginning.split(",") if flag.name in _COMMA_SEPARATED else [beginning]
    prefix = "".join(f"{part}," for part in former)
    found = _starting(last, _KNOWN.get(flag.name, list)())
    if flag.name == "gin_file":
        found += _paths(last, ".gin")
    elif flag.name not in _KNOWN and ("folder" in flag.help or "file" in flag.help):
        found += _paths(last)
    return [prefix + value for value in dict.fromkeys(found)]


def _paths(beginning: str, suffix: str = "") -> list[str]:
    """Return the folders and the files with a suffix whose paths begin so; hidden ones if asked for by a dot."""
    head = beginning[: beginning.rfind("/") + 1]
    name = beginning.removeprefix(head)
    try:
        entries = sorted(Path(head or ".").expanduser().iterdir())
    except OSError:
        return []
    shown = [path for path in entries if path.name.startswith(name) and (name or not path.name.startswith("."))]
    folders = [f"{head}{path.name}/" for path in shown if path.is_dir()]
    return folders + [f"{head}{path.name}" for path in shown if path.is_file() and path.name.endswith(suffix)]


def _starting(beginning: str, known: Iterable[str]) -> list[str]:
    return [each for each in known if each.startswith(beginning)]


def _named(kind: str, *others: str) -> Callable[[], list[str]]:
    return lambda: [*others, *dict.fromkeys(plugin.name for plugin in find() if plugin.kind == kind)]


def _configs() -> list[str]:
    return sorted(path.relative_to(config_root()).as_posix() for path in config_root().rglob("*.gin"))


def _bindings() -> list[str]:
    plugins = dict.fromkeys(f"{plugin.gin_name}." for plugin in find())
    return [*(f"experiment.{name}=" for name in experiment_arguments()), *plugins]


_COMMA_SEPARATED = ("posteriors", "priors", "objectives", "scores")
#: The values of a flag in any command, by its name. Any other flag whose help speaks of a file or folder takes a path.
_KNOWN: dict[str, Callable[[], list[str]]] = {
    "gin_file": _configs,
    "gin_bindings": _bindings,
    "gin_for": lambda: [f"{plugin.gin_name}=" for plugin in find()],
    "prior": _named("prior"),
    "priors": _named("prior"),
    "posterior": _named("posterior", "none"),
    "posteriors": _named("posterior", "none"),
    "objective": _named("objective"),
    "objectives": _named("objective"),
    "data": _named("data"),
    "scores": _named("score"),
    "split": lambda: ["train", "validation", "test"],
    "checkpoint": lambda: ["latest", "best"],
}
