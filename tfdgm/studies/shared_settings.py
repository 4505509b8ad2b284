"""Describe the settings that the cells of a folder share: data, sizes, and flags of their commands."""

import contextlib
import functools
import shlex
from collections.abc import Sequence

from tfdgm.errors import UserError
from tfdgm.studies.folder import Folder, Result
from tfdgm.system.files import read_bytes

_SETTINGS = ("--gin_file=", "--gin_bindings=")
_SIZES = {"steps": "{:,} steps", "batch_size": "batches of {:,}", "latent_size": "latent size {:,}"}


def data_and_sizes(folder: Folder, results: Sequence[Result]) -> str:
    """Return data and sizes from the configurations of the runs; empty if no run was started."""
    configs = [folder.workdir(result.cell) / "config.gin" for result in results]
    texts = dict.fromkeys(_describe(read_bytes(path).decode(errors="replace")) for path in configs if path.is_file())
    return "; ".join(text for text in texts if text)


@functools.cache
def _describe(config: str) -> str:
    """Return data and sizes of one configuration; empty if it is damaged or its plugins are not installed."""
    from tfdgm.configuration.gin_parser import Reference, own, read_statements  # not at the top: `--help` loads no gin

    try:
        statements = read_statements([], base=config, prefer=own)
        data = statements.value("data")
    except (UserError, KeyError):
        return ""
    parts = [f"data {data.selector.partition('.')[2]}"] if isinstance(data, Reference) else []
    for name, words in _SIZES.items():
        if ("", "experiment", name) in statements.bindings:
            with contextlib.suppress(ValueError, TypeError):  # a value that is not a number
                parts.append(words.format(statements.value(name)))
    return ", ".join(parts)


def shared_settings(results: Sequence[Result]) -> list[str]:
    """Return the flags for config files and bindings that all commands have in common."""
    commands = [shlex.split(result.command) for result in results if result.command]
    first = commands[0] if commands else []
    return [flag for flag in first if flag.startswith(_SETTINGS) and all(flag in other for other in commands)]
