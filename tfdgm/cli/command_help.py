"""The text of `tfdgm COMMAND --help`."""

import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from absl import flags


def required_flags(module: ModuleType) -> Sequence[str]:
    """Return the names of the flags without which a command does not run: `REQUIRED` of its module."""
    return getattr(module, "REQUIRED", ())


def command_help(name: str, purpose: str, module: ModuleType, values: flags.FlagValues) -> str:
    """Return usage, description, examples and flags of a command.

    Args:
      name: of the command.
      purpose: one line.
      module: its module: the description is its docstring, the examples are its `EXAMPLES`.
      values: its flags.
    """
    required = required_flags(module)
    argument = " [ARGUMENT ...]" if getattr(module, "POSITIONAL", False) else ""
    usage = "".join(f" --{flag}=..." for flag in required) + argument
    parts = [f"tfdgm {name}: {purpose}", f"usage: tfdgm {name}{usage} [--flag=value ...]"]
    parts.append(inspect.cleandoc(module.__doc__ or ""))
    if examples := getattr(module, "EXAMPLES", ()):
        parts.append("examples:\n" + "\n".join(f"  {example}" for example in examples))
    parts.append("flags:\n" + "\n".join(_line(flag, flag.name in required) for flag in distinct(values)))
    return "\n\n".join(part for part in parts if part)


def distinct(values: flags.FlagValues) -> list[Any]:
    """Return the flags of a command by name, each once."""
    return sorted({id(flag): flag for flag in (values[name] for name in values)}.values(), key=lambda flag: flag.name)


def _line(flag: Any, required: bool) -> str:
    value = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
    default = "" if value is None or value is False or value == "" else f" (default: {value})"
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    return f"  {name}: {help_of(flag)}{' (required)' if required else default}"


def help_of(flag: Any) -> str:
    """Return the help of a flag; absl adds to what the texts say already that a flag may be repeated."""
    return flag.help.partition(";\n")[0]
