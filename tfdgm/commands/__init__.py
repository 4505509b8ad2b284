"""The command line: `tfdgm COMMAND --flags`. Each command is a module; only the one asked for is imported."""

import importlib
import os
import sys
from collections.abc import Sequence

from absl import flags

from tfdgm.commands.slips import binding_for, unquoted_binding
from tfdgm.errors import NonFiniteError, UserError, did_you_mean, nearest
from tfdgm.signals import Stopped
from tfdgm.version import __version__

#: What each command does, in one line; its module is `tfdgm.commands.NAME_command`.
COMMANDS = {
    "train": "train a model; with no flag, a VAE on the embedded handwritten digits",
    "eval": "score a trained model and write eval.json",
    "sample": "draw from a trained model into a .png or .npz file",
    "export": "write a trained model as a self-contained SavedModel",
    "plugins": "list, show or start plugins",
    "matrix": "train and score every valid combination of what is installed",
    "verify": "compare what tfdgm computes with numbers that are known exactly",
    "lab": "run a classic demonstration; leaves a table and a picture",
}

_USAGE = """tfdgm {version}: deep generative models on TensorFlow

usage: tfdgm COMMAND [--flag=value ...]
       tfdgm COMMAND --help

commands:
{commands}
"""


def main(argv: Sequence[str]) -> int:
    """Runs one command.

    Args:
      argv: the arguments after the program's name.

    Returns:
      The exit code: 0 done; 2 a mistake of the user's, told in one message; 1 training became non-finite, a cell of the
      matrix failed, an oracle missed, or a lab's check did; 128 + signal where one stopped the run.
    """
    if not argv or argv[0] in ("--help", "-h", "help", "--helpfull"):
        print(_usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"tfdgm {__version__}")
        return 0
    try:
        return _run(argv[0], argv[1:])
    except UserError as error:
        print(f"tfdgm: {error}", file=sys.stderr)
        return 2
    except NonFiniteError as error:
        print(f"tfdgm: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"tfdgm: {stopped}", file=sys.stderr)
        return 128 + stopped.number
    except KeyboardInterrupt:
        print("tfdgm: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def _usage() -> str:
    lines = "\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items())
    return _USAGE.format(version=__version__, commands=lines)


def _run(name: str, arguments: Sequence[str]) -> int:
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}. {did_you_mean(name, COMMANDS)}")
    module = importlib.import_module(f"tfdgm.commands.{name}_command")
    values = flags.FlagValues()
    module.define_flags(values)
    if any(argument in ("--help", "-h", "--helpfull", "-help") for argument in arguments):
        print(f"tfdgm {name}: {COMMANDS[name]}\n\n{(module.__doc__ or '').strip()}\n\nflags:")
        print(_flags_help(values))
        return 0
    try:
        positional = values([f"tfdgm {name}", *arguments])[1:]
    except flags.Error as error:
        raise _refused_flag(name, error, arguments, values) from None
    if positional and not getattr(module, "POSITIONAL", False):
        statement = unquoted_binding(arguments) if "gin_bindings" in values else None
        meant = f"did you mean --gin_bindings={statement!r}?" if statement else "flags begin with --"
        raise UserError(f"tfdgm {name} takes no argument {positional[0]!r}; {meant}")
    return module.main(values, positional)


def _refused_flag(name: str, error: flags.Error, arguments: Sequence[str], values: flags.FlagValues) -> UserError:
    if isinstance(error, flags.UnrecognizedFlagError) and "gin_bindings" in values:
        statement = binding_for(error.flagname, arguments)
        if statement and not nearest(error.flagname, values):
            return UserError(f"there is no flag --{error.flagname}; use --gin_bindings={statement!r}")
    return UserError(f"{error} (tfdgm {name} --help lists the flags)")


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up notices, which it writes before its own log level is in force."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow

        tensorflow.config.list_physical_devices()
        tensorflow.get_logger().setLevel("ERROR")  # each diagnostic compiles its own programs, which it warns about
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _flags_help(values: flags.FlagValues) -> str:
    lines = []
    for flag in sorted({id(f): f for f in (values[name] for name in values)}.values(), key=lambda f: f.name):
        default = "" if flag.default in (None, [], False) else f" (default: {flag.default})"
        name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
        lines.append(f"  {name}: {flag.help}{default}")
    return "\n".join(lines)
