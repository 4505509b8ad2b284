"""Suggest corrections for unrecognised arguments."""

import ast
import itertools
from collections.abc import Sequence

from tfdgm.runs.experiment_arguments import experiment_arguments


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


def binding_for(name: str, arguments: Sequence[str]) -> str | None:
    """Return the gin statement that sets an argument of `experiment`, or None if it has no argument of this name.

    Args:
      name: of the unrecognised flag.
      arguments: of the command line; the statement has the value of the flag if that is a literal.
    """
    if name not in experiment_arguments():
        return None
    value = "..."
    for number, argument in enumerate(arguments):
        flag, _, after = argument.partition("=")
        if flag.lstrip("-") == name:
            after = after or next(iter(arguments[number + 1 :]), "")
            value = after if _is_literal(after) else value
    return f"experiment.{name} = {value}"


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return True
