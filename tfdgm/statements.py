"""The statements of gin files and flags. All that can be told of them without importing TensorFlow is checked here:
files, syntax, macros, and the names of plugins.
"""

import pprint
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gin import config_parser
from tfdgm.arguments import experiment_arguments
from tfdgm.config_files import find_file
from tfdgm.errors import UserError, did_you_mean, nearest
from tfdgm.registry import KINDS, find, select


@dataclass(frozen=True)
class Reference:
    """`@name()` as it stands in a config."""

    name: str
    evaluate: bool

    def __repr__(self) -> str:
        return f"@{self.name}{'()' if self.evaluate else ''}"

    @property
    def selector(self) -> str:
        """What it names, without its scope."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Macro:
    """`%name` as it stands in a config."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        return Reference(scoped_configurable_name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def read_statements(files: Sequence[str], bindings: Sequence[str] = (), base: str | None = None) -> "Statements":
    """Files in order, then bindings; later statements win.

    Args:
      files: paths, or short paths of packaged configs.
      bindings: gin statements, one or more lines each.
      base: the text of a resolved configuration, before all of them.

    Raises:
      UserError: a file, macro or plugin is unknown, nothing reads a macro of the bindings or of the last file itself,
        or the syntax is wrong.
    """
    statements = Statements()
    if base is not None:
        statements.read(base, "the saved configuration", None)
    for number, name in enumerate(files):
        # Earlier and included files serve several configs, which may override what reads a macro of theirs.
        statements.read_file(find_file(name), meant=number == len(files) - 1)
    for text in bindings:
        statements.read(text, "--gin_bindings", None, meant=True)
    statements.check()
    return statements


class Statements:
    """The last statement of each key.

    Attributes:
      macros: (value, where) by name.
      bindings: (value, where) by scope, selector and parameter.
      meant: the macros that something must read, as they were meant for this very configuration.
      once_read: the macros that some statement reads, be it one that a later one replaces.
    """

    def __init__(self) -> None:
        self.macros: dict[str, tuple[Any, str]] = {}
        self.bindings: dict[tuple[str, str, str], tuple[Any, str]] = {}
        self.meant: set[str] = set()
        self.once_read: set[str] = set()
        self._including: list[Path] = []

    def read_file(self, path: Path, meant: bool = False) -> None:
        if path.resolve() in self._including:
            raise UserError(f"{path} includes itself")
        self._including.append(path.resolve())
        try:
            self.read(path.read_text(), str(path), path.parent, meant)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read: {error}") from None
        self._including.pop()

    def read(self, text: str, source: str, beside: Path | None, meant: bool = False) -> None:
        """Adds the statements of a text.

        Args:
          text: gin.
          source: what messages call it.
          beside: the folder in which its includes are looked for first.
          meant: whether something must read its macros.
        """
        try:
            for statement in config_parser.ConfigParser(text, _Delegate()):
                where = f"{source}:{statement.location.line_num}: {statement.location.line_content.strip()}"
                if isinstance(statement, config_parser.IncludeStatement):
                    self.read_file(find_file(statement.filename, beside))
                elif isinstance(statement, config_parser.ImportStatement):
                    raise UserError(f"{where}\n  a config may not import; plugins are found by their entry points")
                elif isinstance(statement, config_parser.BindingStatement):
                    self._bind(statement, where, meant)
        except SyntaxError as error:
            raise UserError(_syntax_message(error, source, text)) from None
        except (StopIteration, tokenize.TokenError):
            raise UserError(
                f"{source}: {text.strip().splitlines()[-1]}\n  the last statement is not complete"
            ) from None

    def _bind(self, statement: Any, where: str, meant: bool) -> None:
        self.once_read |= {item.name for item in flatten(statement.value) if isinstance(item, Macro)}
        if statement.arg_name:
            self.bindings[statement.scope, statement.selector, statement.arg_name] = (statement.value, where)
            return
        name = f"{statement.scope}/{statement.selector}" if statement.scope else statement.selector
        self.macros[name] = (statement.value, where)
        (self.meant.add if meant else self.meant.discard)(name)

    def check(self) -> None:
        """Raises: UserError: a name is unknown as far as that shows here, or nothing reads a macro."""
        for (_, selector, parameter), (_, where) in self.bindings.items():
            with located(where):
                _check_name(selector)
                if selector == "experiment" and parameter not in experiment_arguments():
                    raise no_parameter(selector, parameter, experiment_arguments())
        read = set()
        for value, where in self.values():
            with located(where):
                for item in flatten(value):
                    if isinstance(item, Macro):
                        if item.name not in self.macros:
                            raise UserError(f"there is no macro %{item.name}. {did_you_mean(item.name, self.macros)}")
                        read.add(item.name)
                    if isinstance(item, Reference):
                        _check_name(item.selector)
                        if not item.evaluate:
                            raise UserError(f"{item} names a class; write @{item.name}() for an instance of it")
        for name in sorted(self.meant - self.once_read):
            with located(self.macros[name][1]):
                raise UserError(f"nothing reads the macro {name!r}. {_instead_of_macro(name, read)}")

    def values(self) -> list[tuple[Any, str]]:
        """Every (value, where)."""
        return [*self.macros.values(), *self.bindings.values()]

    def value(self, parameter: str) -> Any:
        """What `experiment` is given for one of its arguments, macros resolved; KeyError where it is not set."""
        value = self.bindings["", "experiment", parameter][0]
        for _ in self.macros:
            if isinstance(value, Macro):
                value = self.macros[value.name][0]
        return value

    def reachable(self) -> set[str]:
        """The selectors that a call of `experiment` may come to, by references from one to the next."""
        waiting = [value for (scope, selector, _), (value, _) in self.bindings.items()
                   if selector == "experiment" and not scope]  # fmt: skip
        return {item.selector for item in self._closure(waiting) if isinstance(item, Reference)}

    def _closure(self, waiting: list[Any]) -> set[Macro | Reference]:
        """The macros and references in some values, and in all that those bring in."""
        found: set[Macro | Reference] = set()
        while waiting:
            for item in flatten(waiting.pop()):
                if not isinstance(item, (Macro, Reference)) or item in found:
                    continue
                found.add(item)
                if isinstance(item, Macro):
                    waiting.append(self.macros[item.name][0])
                else:
                    waiting += [value for (_, name, _), (value, _) in self.bindings.items() if name == item.selector]
        return found

    def text(self) -> str:
        """The statements as canonical gin: macros that something reads, the experiment, then the rest by name."""
        read = {item.name for item in self._closure([value for value, _ in self.bindings.values()])
                if isinstance(item, Macro)}  # fmt: skip
        lines = [_format(name, value) for name, (value, _) in sorted(self.macros.items()) if name in read]
        groups: dict[tuple[str, str], list[str]] = {}
        for (scope, selector, parameter), (value, _) in self.bindings.items():
            key = f"{scope}/{selector}.{parameter}" if scope else f"{selector}.{parameter}"
            groups.setdefault((selector, scope), []).append(_format(key, value))
        for _, group in sorted(groups.items(), key=lambda item: (item[0][0] != "experiment", item[0])):
            lines += ["", *sorted(group)] if lines else sorted(group)
        return "\n".join(lines) + "\n"


def flatten(value: Any) -> Iterable[Any]:
    """What is in a value, however deep."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (*flatten(key), *flatten(item))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from flatten(item)
    else:
        yield value


class located:
    """Within it a `UserError` is told where in the config it arose."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, UserError):
            raise UserError(f"{self.where}\n  {error}") from None


def no_parameter(selector: str, name: str, known: Iterable[str]) -> UserError:
    return UserError(f"{selector} has no parameter {name!r}. {did_you_mean(name, known)}")


def _check_name(selector: str) -> None:
    head = selector.partition(".")[0]
    if head in KINDS:
        select(selector)
    elif selector != "experiment" and head != "keras":
        known = ["experiment", *(plugin.gin_name for plugin in find())]
        raise UserError(f"{selector!r} is not configurable. {did_you_mean(selector, known)}")


def _instead_of_macro(name: str, read: Iterable[str]) -> str:
    """What may have been meant: a macro that is read, or an argument of the experiment."""
    meant = {**{argument: f"experiment.{argument}" for argument in experiment_arguments()}, **{m: m for m in read}}
    near = [meant[found] for found in nearest(name, meant)]
    if near:
        return f"Did you mean {' or '.join(repr(found) for found in near)}?"
    return f"Give it a reader, such as experiment.NAME = %{name}, or leave it out."


def _format(key: str, value: Any) -> str:
    text = pprint.pformat(value, width=110 - len(key), compact=True, sort_dicts=False)
    return f"{key} = {text}" if "\n" not in text else f"{key} = \\\n    " + text.replace("\n", "\n    ")


def _syntax_message(error: SyntaxError, source: str, text: str) -> str:
    message, location = error.args[0], error.args[1] if len(error.args) > 1 else None
    line_number = getattr(location, "line_num", None) or (location[1] if isinstance(location, tuple) else 1)
    lines = text.splitlines()
    line = lines[line_number - 1].strip() if 0 < line_number <= len(lines) else text.strip()
    hint = ""
    if message.startswith("malformed node"):  # what Python's literal_eval says of a name
        message = "the value is no literal, @reference() or %macro"
    match = re.fullmatch(r"([\w./]+)\s*=\s*([^\"'\[({%@].*)", line)
    if match:
        hint = f'\n  Strings need quotes, as in {match[1]} = "{match[2].strip()}"'
    return f"{source}:{line_number}: {line}\n  {message}{hint}"
