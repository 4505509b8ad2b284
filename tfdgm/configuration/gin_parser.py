"""The statements of gin files and flags. All that can be told of them without importing TensorFlow is checked here:
files, syntax, macros, and the names of plugins.
"""

import os
import pprint
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfdgm.configuration.call_graph import ConfigGraph
from tfdgm.configuration.config_files import find_file, read_file
from tfdgm.runs.experiment_arguments import experiment_arguments
from tfdgm.configuration.gin_grammar import DEEPEST, LONGEST_TEXT, Binding, Include, Macro, Reference, parse
from tfdgm.contracts.registry import KINDS, find, select
from tfdgm.errors import UserError, did_you_mean, nearest

#: Characters of all files and bindings together, an included file counted each time.
MOST_CHARACTERS = 400_000

#: gin's own constant, which it takes for every macro of this name.
_RESERVED = "REQUIRED"


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
        self._characters = 0

    def read_file(self, path: Path, meant: bool = False) -> None:
        """Adds the statements of a file; see `read`."""
        self._read_file(path, read_file(path), meant)

    def _read_file(self, path: Path, text: str, meant: bool) -> None:
        self._including.append(path)
        self.read(text, str(path), path.parent, meant)
        self._including.pop()

    def read(self, text: str, source: str, beside: Path | None, meant: bool = False) -> None:
        """Adds the statements of a text.

        Args:
          text: gin.
          source: names the text in messages.
          beside: the folder in which its includes are looked for first.
          meant: whether something must read its macros.

        Raises:
          UserError: the syntax is wrong, a file that it includes does not exist or includes itself, or all texts
            together are too long.
        """
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise UserError(f"{source}: a config and its includes have more than {MOST_CHARACTERS:,} characters")
        for statement in parse(text, source):
            if isinstance(statement, Include):
                with located(statement.where):
                    path = find_file(statement.file, beside)
                    self._check_chain(path)
                    included = read_file(path)
                self._read_file(path, included, meant=False)
            else:
                self._bind(statement, meant)

    def _check_chain(self, path: Path) -> None:
        """Refuses a file that includes itself, and includes that lead too deep."""
        for number, file in enumerate(self._including):
            if os.path.realpath(file) == os.path.realpath(path):
                chain = [*self._including[number:], path]
                raise UserError(f"{path} includes itself: {' -> '.join(str(file) for file in chain)}")
        if len(self._including) > DEEPEST:
            raise UserError(f"includes lead from one file to the next more than {DEEPEST} times")

    def _bind(self, statement: Binding, meant: bool) -> None:
        self.once_read |= {item.name for item in flatten(statement.value) if isinstance(item, Macro)}
        if statement.parameter:
            key = statement.scope, statement.selector, statement.parameter
            self.bindings[key] = (statement.value, statement.where)
            return
        name = f"{statement.scope}/{statement.selector}" if statement.scope else statement.selector
        self.macros[name] = (statement.value, statement.where)
        (self.meant.add if meant else self.meant.discard)(name)

    def check(self) -> None:
        """Checks all that shows without TensorFlow.

        Raises:
          UserError: a name is unknown, nothing reads a macro, something leads back to itself, or all is too large.
        """
        for (scope, selector, parameter), (_, where) in self.bindings.items():
            with located(where):
                _check_name(selector)
                if selector == "experiment" and scope:
                    raise UserError(f"experiment is called in no scope; write experiment.{parameter}")
                if selector == "experiment" and parameter not in experiment_arguments():
                    raise no_parameter(selector, parameter, experiment_arguments())
        if _RESERVED in self.macros:
            with located(self.macros[_RESERVED][1]):
                raise UserError(f"gin reserves the name {_RESERVED!r}; give the macro another")
        read = set()
        for value, where in self.values():
            with located(where):
                for item in flatten(value):
                    if isinstance(item, Macro):
                        self._check_macro(item)
                        read.add(item.name)
                    if isinstance(item, Reference):
                        _check_reference(item)
        for name in sorted(self.meant - self.once_read):
            with located(self.macros[name][1]):
                raise UserError(f"nothing reads the macro {name!r}. {_instead_of_macro(name, read)}")
        self.reachable()
        length = len(self.text())
        if length > LONGEST_TEXT:  # or else it would not be read again
            raise UserError(f"the whole configuration has {length:,} characters; at most {LONGEST_TEXT:,} are allowed")

    def _check_macro(self, macro: Macro) -> None:
        if macro.name not in self.macros:
            known = did_you_mean(macro.name, self.macros) if self.macros else "The configuration defines none."
            raise UserError(f"there is no macro {macro}. {known}")

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
        """The selectors that a call of `experiment` comes to, by references from one to the next.

        Raises:
          UserError: something leads back to itself, too deep, or to too many values.
        """
        return ConfigGraph(self.macros, self.bindings).check()

    def _read_macros(self) -> set[str]:
        """The macros that a binding reads, or a macro that is read."""
        read: set[str] = set()
        waiting = [value for value, _ in self.bindings.values()]
        while waiting:
            for item in flatten(waiting.pop()):
                if isinstance(item, Macro) and item.name not in read:
                    read.add(item.name)
                    waiting.append(self.macros[item.name][0])
        return read

    def text(self) -> str:
        """The statements as canonical gin: macros that something reads, the experiment, then the rest by name."""
        read = self._read_macros()
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


def _check_reference(reference: Reference) -> None:
    _check_name(reference.selector)
    if reference.selector == "experiment":
        raise UserError("experiment is the run itself; no value can be a reference to it")
    if not reference.evaluate:
        raise UserError(f"{reference} names a class; write @{reference.name}() for an instance of it")


def _instead_of_macro(name: str, read: Iterable[str]) -> str:
    """What may have been meant: a macro that is read, or an argument of the experiment."""
    meant = {**{argument: f"experiment.{argument}" for argument in experiment_arguments()}, **{m: m for m in read}}
    near = [meant[found] for found in nearest(name, meant)]
    if near:
        return f"Did you mean {' or '.join(repr(found) for found in near)}?"
    return f"Give it a reader, such as experiment.NAME = %{name}, or leave it out."


def _format(key: str, value: Any) -> str:
    text = pprint.pformat(value, width=max(20, 110 - len(key)), compact=True, sort_dicts=False)
    return f"{key} = {text}" if "\n" not in text else f"{key} = \\\n    " + text.replace("\n", "\n    ")
