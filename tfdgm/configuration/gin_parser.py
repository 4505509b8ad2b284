"""The statements of gin files and flags, with all checks that do not require TensorFlow: files, syntax, macros, and the
names of plugins.
"""

import os
import pprint
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tfdgm.configuration.call_graph import ConfigGraph
from tfdgm.configuration.config_files import config_root, find_file, read_file
from tfdgm.configuration.gin_grammar import DEEPEST, LONGEST_TEXT, Binding, Include, Macro, Reference, parse
from tfdgm.contracts.registry import KINDS, OWN_PACKAGE, Plugin, find, select
from tfdgm.errors import UserError, did_you_mean, nearest
from tfdgm.runs.experiment_arguments import experiment_arguments
from tfdgm.system.console import detail

#: Largest total length of files and bindings in characters; an included file counts each time.
MOST_CHARACTERS = 400_000

#: Name of the text of a configuration that a run has saved, in messages.
SAVED = "the saved configuration"
#: The name of the statements of the command line in messages.
BINDINGS = "--gin_bindings"

#: gin's own constant, which gin uses for every macro of this name.
_RESERVED = "REQUIRED"


#: Returns the package to choose for the name `KIND.NAME` of a plugin if several provide it, or None.
Preference = Callable[[str], str | None]


def own(name: str) -> str | None:
    """Prefer first-party plugins: the `Preference` of configs that tfdgm itself writes."""
    return OWN_PACKAGE


def read_statements(
    files: Sequence[str],
    bindings: Sequence[str] = (),
    base: str | None = None,
    prefer: Preference = lambda name: None,
) -> "Statements":
    """Read files in order, then bindings; later statements override earlier ones.

    Args:
      files: paths, or short paths of packaged configs.
      bindings: gin statements, one or more lines each.
      base: the text of a resolved configuration, read first.
      prefer: the package to choose for a name that several provide. Names that stand in packaged configs only are
        those of tfdgm's own plugins in any case.

    Raises:
      UserError: a file, macro or plugin is unknown, a macro of the bindings or of the last file is unused, or the
        syntax is invalid.
    """
    statements = Statements(prefer)
    if base is not None:
        statements.read(base, SAVED, None)
    for number, name in enumerate(files):
        # Configs that share earlier and included files may override the statements that read their macros.
        statements.read_file(find_file(name), macros_used=number == len(files) - 1)
    for text in bindings:
        statements.read(text, BINDINGS, None, macros_used=True)
    statements.check()
    return statements


class Statements:
    """The last statement of each key.

    Args:
      prefer: the package to choose for a name that several provide.

    Attributes:
      macros: (value, where) by name.
      bindings: (value, where) by scope, selector and parameter.
      folders: the folder of the file that a statement stands in, by its key in `macros` or `bindings`; None for a
        statement of a flag.
      must_be_used: the macros that some statement must read.
      once_read: the macros that some statement reads, including overridden statements.
      detached: the bindings of the command line that replace a macro, with its name.
    """

    def __init__(self, prefer: Preference = lambda name: None) -> None:
        self.prefer = prefer
        self.macros: dict[str, tuple[Any, str]] = {}
        self.bindings: dict[tuple[str, str, str], tuple[Any, str]] = {}
        self.folders: dict[str | tuple[str, str, str], Path | None] = {}
        self.must_be_used: set[str] = set()
        self.once_read: set[str] = set()
        self.detached: dict[tuple[str, str, str], str] = {}
        self._including: list[Path] = []
        self._characters = 0

    def read_file(self, path: Path, macros_used: bool = False) -> None:
        """Add the statements of a file; see `read`."""
        detail(f"config {path}")
        self._read_file(path, read_file(path), macros_used)

    def _read_file(self, path: Path, text: str, macros_used: bool) -> None:
        self._including.append(path)
        self.read(text, str(path), path.parent, macros_used)
        self._including.pop()

    def read(self, text: str, source: str, beside: Path | None, macros_used: bool = False) -> None:
        """Add the statements of a text.

        Args:
          text: gin statements.
          source: name of the text in messages.
          beside: the folder in which includes are looked up first.
          macros_used: whether some statement must read each macro of the text.

        Raises:
          UserError: invalid syntax, an included file does not exist or includes itself, or the texts are too long in
            total.
        """
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise UserError(f"{source}: a config and its includes have at most {MOST_CHARACTERS:,} characters")
        for statement in parse(text, source):
            if isinstance(statement, Include):
                with located(statement.where):
                    path = find_file(statement.file, beside)
                    self._check_chain(path)
                    included = read_file(path)
                detail(f"config {path}, included")
                self._read_file(path, included, macros_used=False)
            else:
                self._bind(statement, beside, macros_used)

    def _check_chain(self, path: Path) -> None:
        """Refuse a file that includes itself, and chains of includes that are too long."""
        for number, file in enumerate(self._including):
            if os.path.realpath(file) == os.path.realpath(path):
                chain = [*self._including[number:], path]
                raise UserError(f"{path} includes itself: {' -> '.join(str(file) for file in chain)}")
        if len(self._including) > DEEPEST:
            raise UserError(f"includes are nested more than {DEEPEST} levels deep")

    def _bind(self, statement: Binding, beside: Path | None, macros_used: bool) -> None:
        self.once_read |= {item.name for item in flatten(statement.value) if isinstance(item, Macro)}
        if statement.parameter:
            key = statement.scope, statement.selector, statement.parameter
            former, _ = self.bindings.get(key, (None, ""))
            if isinstance(former, Macro) and statement.where.startswith(f"{BINDINGS}:"):
                self.detached.setdefault(key, former.name)
            self.bindings[key], self.folders[key] = (statement.value, statement.where), beside
            return
        name = f"{statement.scope}/{statement.selector}" if statement.scope else statement.selector
        self.macros[name], self.folders[name] = (statement.value, statement.where), beside
        (self.must_be_used.add if macros_used else self.must_be_used.discard)(name)

    def check(self) -> None:
        """Check everything that does not require TensorFlow.

        Raises:
          UserError: a name is unknown, a macro is unused, there is a cycle, or the configuration is too large.
        """
        for (scope, selector, parameter), (_, where) in self.bindings.items():
            with located(where):
                self._check_name(selector)
                if selector == "experiment" and scope:
                    raise UserError(f"experiment has no scope; write experiment.{parameter}")
                if selector == "experiment" and parameter not in experiment_arguments():
                    raise no_parameter(selector, parameter, experiment_arguments())
        if _RESERVED in self.macros:
            with located(self.macros[_RESERVED][1]):
                raise UserError(f"gin reserves the name {_RESERVED!r}; rename the macro")
        read = set()
        for value, where in self.values():
            with located(where):
                for item in flatten(value):
                    if isinstance(item, Macro):
                        self._check_macro(item)
                        read.add(item.name)
                    if isinstance(item, Reference):
                        self._check_reference(item)
        for name in sorted(self.must_be_used - self.once_read):
            with located(self.macros[name][1]):
                raise UserError(f"unused macro {name!r}. {_suggest_for_macro(name, read)}")
        self.reachable()
        length = len(self.text())
        if length > LONGEST_TEXT:  # config.gin could not be read back
            raise UserError(f"the configuration has {length:,} characters; at most {LONGEST_TEXT:,} are allowed")

    def remarks(self) -> list[str]:
        """Return a sentence for each binding of the command line that replaces a macro which others still read."""
        remarks = []
        for key, macro in self.detached.items():
            value, where = self.bindings[key]
            readers = [
                f"{selector}.{parameter}"
                for (_, selector, parameter), (other, _) in self.bindings.items()
                if Macro(macro) in flatten(other)
            ]
            if readers and not any(isinstance(item, Macro) for item in flatten(value)):
                remarks.append(
                    f"{where}: {', '.join(readers)} still {'reads' if len(readers) == 1 else 'read'} %{macro} = "
                    f"{self.macros[macro][0]!r}; to change it too, bind {macro} = {value!r}"
                )
        return remarks

    def _check_macro(self, macro: Macro) -> None:
        if macro.name not in self.macros:
            known = did_you_mean(macro.name, self.macros) if self.macros else "The configuration defines no macros."
            raise UserError(f"unknown macro {macro}. {known}")

    def plugin(self, selector: str) -> Plugin:
        """Return the plugin of a name.

        Raises:
          UserError: there is none, or several packages provide it and none is preferred.
        """
        return select(selector, prefer=self.prefer(selector) or (OWN_PACKAGE if self._is_packaged(selector) else None))

    def _is_packaged(self, selector: str) -> bool:
        """Return whether a name stands in packaged configs only."""
        places = [where for (_, bound, _), (_, where) in self.bindings.items() if bound == selector]
        places += [
            where
            for value, where in self.values()
            for item in flatten(value)
            if isinstance(item, Reference) and item.selector == selector
        ]
        return all(where.startswith(f"{config_root()}{os.sep}") for where in places)

    def _check_name(self, selector: str) -> None:
        head = selector.partition(".")[0]
        if head in KINDS:
            self.plugin(selector)
        elif selector != "experiment" and head != "keras":
            known = ["experiment", *(plugin.gin_name for plugin in find())]
            raise UserError(f"{selector!r} is not configurable. {did_you_mean(selector, known)}")

    def _check_reference(self, reference: Reference) -> None:
        self._check_name(reference.selector)
        if reference.selector == "experiment":
            raise UserError("a value cannot be a reference to experiment, which is the run itself")
        if not reference.evaluate:
            raise UserError(f"{reference} is a class; write @{reference.name}() for an instance")

    def values(self) -> list[tuple[Any, str]]:
        """Return (value, where) of every statement."""
        return [*self.macros.values(), *self.bindings.values()]

    def value(self, parameter: str) -> Any:
        """Return the value of an argument of `experiment`, with macros resolved; raises KeyError if it is not set."""
        value = self.bindings["", "experiment", parameter][0]
        for _ in self.macros:
            if isinstance(value, Macro):
                value = self.macros[value.name][0]
        return value

    def reachable(self) -> set[str]:
        """Return the selectors that a call of `experiment` reaches.

        Raises:
          UserError: there is a cycle, or the configuration is too deep or too large.
        """
        return ConfigGraph(self.macros, self.bindings).check()

    def _read_macros(self) -> set[str]:
        """Return the macros that bindings read, directly or through other macros."""
        read: set[str] = set()
        waiting = [value for value, _ in self.bindings.values()]
        while waiting:
            for item in flatten(waiting.pop()):
                if isinstance(item, Macro) and item.name not in read:
                    read.add(item.name)
                    waiting.append(self.macros[item.name][0])
        return read

    def text(self) -> str:
        """Return the statements as canonical gin: macros in use, the experiment, then the rest by name."""
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
    """Yield the leaves of a nested value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (*flatten(key), *flatten(item))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from flatten(item)
    else:
        yield value


class located:
    """Context manager that prefixes a `UserError` with the place in the config."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, UserError):
            raise UserError(f"{self.where}\n  {error}") from None


def no_parameter(selector: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error about an unknown parameter."""
    return UserError(f"{selector} has no parameter {name!r}. {did_you_mean(name, known)}")


def _suggest_for_macro(name: str, read: Iterable[str]) -> str:
    """Suggest a macro in use, or an argument of the experiment, in place of an unused macro."""
    candidates = {**{argument: f"experiment.{argument}" for argument in experiment_arguments()}, **{m: m for m in read}}
    near = [candidates[found] for found in nearest(name, candidates)]
    if near:
        return f"Did you mean {' or '.join(repr(found) for found in near)}?"
    return f"Use it, as in experiment.NAME = %{name}, or remove it."


def _format(key: str, value: Any) -> str:
    text = pprint.pformat(value, width=max(20, 110 - len(key)), compact=True, sort_dicts=False)
    return f"{key} = {text}" if "\n" not in text else f"{key} = \\\n    " + text.replace("\n", "\n    ")
