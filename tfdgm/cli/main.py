"""The command line: `tfdgm COMMAND --flags`. Each command is a module, imported only when it runs."""

import difflib
import importlib
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from absl import flags

from tfdgm.cli.command_help import command_help, help_of, required_flags
from tfdgm.cli.suggestions import binding_for, in_shell, unquoted_binding
from tfdgm.errors import UserError, did_you_mean, explained
from tfdgm.system import program_cache
from tfdgm.system.console import complain, drop, streams_for, verbosity
from tfdgm.system.platforms import check_platform
from tfdgm.system.signals import Stopped, signals_raised
from tfdgm.version import __version__

#: One line of help for each command; its module is `tfdgm.cli.NAME`.
COMMANDS = {
    "train": "train a model; with no flag, a VAE on the embedded handwritten digits",
    "eval": "score a trained model and write eval.json",
    "sample": "draw from a trained model into a .png or .npz file",
    "compare": "show runs side by side: scores over seeds, and the settings that differ",
    "export": "write a trained model as a self-contained SavedModel",
    "plugins": "list, show, check or create plugins",
    "matrix": "train and score every valid combination of the installed plugins",
    "sweep": "train and score combinations of values of any settings, or search them",
    "verify": "compare results of tfdgm with exactly known numbers",
    "lab": "run a classic demonstration, with a table and a picture",
    "cache": "show or clear the compiled programs that all commands share",
    "completion": "print a script that completes commands in bash, zsh or fish",
}
#: Commands whose only result is their output; the others continue if it cannot be printed.
_PRINTING = ("compare", "plugins", "verify", "cache", "completion")

_USAGE = """tfdgm {version}: deep generative models on TensorFlow

usage: tfdgm COMMAND [--flag=value ...]
       tfdgm COMMAND --help

commands:
{commands}
"""


def main(argv: Sequence[str]) -> int:
    """Run one command.

    Args:
      argv: the arguments after the program's name.

    Returns:
      The exit code: 0 done; 2 user error, reported in one message; 1 training became non-finite, a plugin has a fault,
      or a cell of the matrix, an oracle or a check of a lab failed; 128 + signal after a signal.
    """
    with streams_for(result_is_printed=not argv or argv[0] not in COMMANDS or argv[0] in _PRINTING):
        try:
            check_platform()
            with signals_raised("stopped"):
                return _main(argv)
        except Stopped as stopped:
            complain(str(stopped))
            return 128 + stopped.number
        except KeyboardInterrupt:
            complain("interrupted")
            return 130
        except BrokenPipeError:  # the reader of a pipe, such as `head`, has closed it
            drop(sys.stdout)
            return 128 + signal.SIGPIPE
        except Exception as error:
            code, message = explained(error)
            if message is None:
                raise
            if "--debug" in argv:
                traceback.print_exc()
            if isinstance(error, OSError):
                drop(sys.stdout)
            complain(message)
            return code


def _main(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("--help", "-h", "help", "--helpfull"):
        print(_usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"tfdgm {__version__}")
        return 0
    return _run(argv[0], argv[1:])


def run() -> None:
    """Run the command of `sys.argv`; the entry point of the console script."""
    sys.exit(main(sys.argv[1:]))


def _usage() -> str:
    lines = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return _USAGE.format(version=__version__, commands=lines)


def parser(name: str) -> tuple[ModuleType, flags.FlagValues]:
    """Return the module of a command, and its flags, with their defaults.

    Raises:
      UserError: there is no such command.
    """
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}. {did_you_mean(name, COMMANDS)}")
    module = importlib.import_module(f"tfdgm.cli.{name}")
    values = flags.FlagValues()
    module.define_flags(values)
    flags.DEFINE_string(
        "cache",
        None,
        f"folder of the compiled programs, or {program_cache.OFF}; {program_cache.VARIABLE} by default",
        flag_values=values,
    )
    flags.DEFINE_bool("debug", False, "print the traceback of an error too", flag_values=values)
    flags.DEFINE_bool("quiet", False, "print results, warnings and errors only", flag_values=values)
    flags.DEFINE_bool(
        "verbose",
        False,
        "print what is read and loaded, the progress of every loop, and TensorFlow's own messages too",
        flag_values=values,
    )
    return module, values


def _run(name: str, arguments: Sequence[str]) -> int:
    module, values = parser(name)
    before_dashes = itertools.takewhile(lambda argument: argument != "--", arguments)
    if any(argument in ("--help", "-h", "--helpfull", "-help") for argument in before_dashes):
        print(command_help(name, COMMANDS[name], module, values))
        return 0
    try:
        positional = values([f"tfdgm {name}", *arguments])[1:]
    except flags.Error as error:
        raise _flag_error(name, error, arguments, values) from None
    if positional and not getattr(module, "POSITIONAL", False):
        statement = unquoted_binding(arguments) if "gin_bindings" in values else None
        hint = f"did you mean {in_shell(statement)}?" if statement else "flags begin with --"
        raise UserError(f"tfdgm {name} takes no argument {positional[0]!r}; {hint}")
    for required in required_flags(module):
        if not values[required].value:
            raise UserError(f"--{required} is required: {help_of(values[required])} (tfdgm {name} --help has examples)")
    if values.quiet and values.verbose:
        raise UserError("--quiet and --verbose exclude each other")
    if values.cache:
        os.environ[program_cache.VARIABLE] = values.cache  # for child processes too
    with verbosity(quiet=values.quiet, verbose=values.verbose):
        return module.main(values, positional)


def _flag_error(name: str, error: flags.Error, arguments: Sequence[str], values: flags.FlagValues) -> UserError:
    if isinstance(error, flags.UnrecognizedFlagError) and "gin_file" in values:
        statement = binding_for(error.flagname, arguments, values)
        if statement and not difflib.get_close_matches(error.flagname, values, cutoff=0.85):  # --objectives is near one
            return UserError(f"there is no flag --{error.flagname}; use {in_shell(statement)}")
    return UserError(f"{error} (tfdgm {name} --help lists the flags)")
