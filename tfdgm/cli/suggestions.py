"""Suggest corrections for unrecognised arguments."""

import ast
import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tfdgm.configuration.config_files import DEFAULT_CONFIG, find_file
from tfdgm.errors import UserError
from tfdgm.runs.experiment_arguments import experiment_arguments
from tfdgm.runs.workdir import Workdir

if TYPE_CHECKING:
    from tfdgm.configuration.gin_parser import Statements


def in_shell(statement: str) -> str:
    """Return the flag that binds a gin statement, quoted for a shell."""
    return f"--gin_bindings={shlex.quote(statement)}"


def unquoted_binding(arguments: Sequence[str]) -> str | None:
    """Return the gin statement that a shell split because it was not quoted, as in `--gin_bindings=steps = 500`."""
    for number, argument in enumerate(arguments):
        flag, _, first = argument.partition("=")
        if flag.lstrip("-") == "gin_bindings":
            rest = itertools.takewhile(lambda word: not word.startswith("--"), arguments[number + 1 :])
            words = [word for word in (first, *rest) if word]
            if len(words) > 1 and "=" in " ".join(words):
                return " ".join(words)
    return next((word for word in arguments if "=" in word.strip("=") and not word.startswith("-")), None)


def binding_for(name: str, arguments: Sequence[str], values: flags.FlagValues) -> str | None:
    """Return the gin statement that sets an argument of `experiment`, or None if it has no argument of this name.

    If the configuration takes the argument from a macro, which other statements may read too (a schedule reads the
    number of steps), the statement sets the macro.

    Args:
      name: of the unrecognised flag.
      arguments: of the command line; the statement has the value of the flag if that is a literal.
      values: the flags that were recognised, which say what the configuration is.
    """
    if name not in experiment_arguments():
        return None
    value = "..."
    for number, argument in enumerate(arguments):
        flag, _, after = argument.partition("=")
        if flag.lstrip("-") == name:
            after = after or next(iter(arguments[number + 1 :]), "")
            value = after if _is_literal(after) else value
    return f"{_macro_of(name, values) or f'experiment.{name}'} = {value}"


def _macro_of(name: str, values: flags.FlagValues) -> str | None:
    """Return the macro from which the configuration takes an argument of `experiment`, if it does."""
    from tfdgm.configuration.gin_grammar import Macro

    try:
        value, _ = _statements(values).bindings["", "experiment", name]
    except (UserError, KeyError):  # an error that is not about this flag is not reported now
        return None
    return value.name if isinstance(value, Macro) else None


def _statements(values: flags.FlagValues) -> "Statements":
    from tfdgm.configuration.gin_parser import Statements  # not at the top: `--help` loads no gin

    values.mark_as_parsed()  # absl parses all flags that it knows before it refuses the others
    statements, saved = Statements(), None
    if not values.gin_file and values.workdir:
        saved = Workdir(Path(values.workdir), warn=lambda line: None).saved_config()
    if saved is not None:
        statements.read(saved, "the saved configuration", None)
    for file in values.gin_file or ([DEFAULT_CONFIG] if saved is None else []):
        statements.read_file(find_file(file))
    for text in values.gin_bindings:
        statements.read(text, "--gin_bindings", None)
    return statements


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return True
