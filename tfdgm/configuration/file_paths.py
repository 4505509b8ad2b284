"""Paths of data in a config: recorded as absolute ones, so that a run finds its data from any folder."""

import inspect
import os
import typing
from pathlib import Path
from typing import Any

from tfdgm.configuration.config_files import config_root
from tfdgm.configuration.gin_grammar import Macro
from tfdgm.configuration.gin_parser import SAVED, Statements
from tfdgm.contracts.fingerprint import FilePath
from tfdgm.runs.placed import WORKDIR


def is_file_path(annotation: Any) -> bool:
    """Return whether a parameter is annotated as `FilePath`, or as an alternative of it and others."""
    return annotation == FilePath or FilePath in typing.get_args(annotation)


def file_parameters(configurable: Any) -> set[str]:
    """Return the names of the parameters that are annotated as paths; none if Python cannot read the annotations."""
    try:
        parameters = inspect.signature(configurable, eval_str=True).parameters.values()
    except NameError:  # of a name that is imported for type checkers only; calling the configurable reports it
        return set()
    return {parameter.name for parameter in parameters if is_file_path(parameter.annotation)}


def make_paths_absolute(statements: Statements, parameters: set[tuple[str, str]]) -> None:
    """Make the relative paths in statements absolute.

    A path is looked up in the folder of the config file that sets it, unless that is a packaged one, then in the
    current folder; one that exists in neither belongs to the current folder. Paths of a saved configuration stay as
    they are: those that it has relative are of a version that did not record them.

    Args:
      statements: changed in place.
      parameters: (selector, parameter) of every parameter that is a path.
    """
    for key in list(statements.bindings):
        if key[1:] in parameters:
            _replace(statements, key)


def _replace(statements: Statements, key: str | tuple[str, str, str]) -> None:
    """Replace the path of a statement, or of the macro that it reads."""
    table: dict[Any, tuple[Any, str]] = statements.macros if isinstance(key, str) else statements.bindings  # type: ignore[assignment]
    value, where = table[key]
    if isinstance(value, Macro):
        _replace(statements, value.name)
    elif isinstance(value, str) and where.partition(":")[0] != SAVED:
        table[key] = (absolute(value, statements.folders[key]), where)


def absolute(path: str, beside: Path | None) -> str:
    """Return an absolute path; `beside` is the folder of the config file that sets it, None for a flag."""
    if not path or path.startswith(WORKDIR):
        return path
    path = os.path.expanduser(path)
    if beside is not None and not beside.resolve().is_relative_to(config_root().resolve()):
        own = os.path.abspath(beside / path)
        if os.path.lexists(own):
            return _if_utf8(own, path)
    return _if_utf8(os.path.abspath(path), path)


def _if_utf8(found: str, path: str) -> str:
    """Return what was found, unless a config, which is UTF-8, cannot hold it."""
    try:
        found.encode()
    except UnicodeEncodeError:
        return path
    return found
