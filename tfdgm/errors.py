"""Errors with a message for the user, and suggestions for misspelt names."""

import difflib
import os
import re
import traceback
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct: one message on stderr, exit code 2, no traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class PluginFault(UserError):
    """A plugin's method raised an exception or returned something of the wrong kind. Exit code 1.

    `--debug` prints the traceback.
    """

    _render_traceback_ = None  # type: ignore[assignment]  # IPython then shows the traceback, to whoever writes the plugin


class NonFiniteError(Exception):
    """Training produced NaN or infinity; the message names the player, the tensor and the step. Exit code 1."""


def described(error: BaseException, message: str | None = None) -> str:
    """Return type, first line and place of an exception: its innermost frame outside of tfdgm's core and libraries.

    Args:
      error: the exception.
      message: its message, by default `str(error)`.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not (_in_core(frame) or _in_library(frame))] or frames[-1:]
    where = f' (file "{own[-1].filename}", line {own[-1].lineno})' if own else ""
    text = str(error) if message is None else message
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return f"{type(error).__name__}{': ' if line else ''}{line}{where}"


def raised_by_library(error: BaseException) -> bool:
    """Return whether an exception was raised by an installed package, and not by tfdgm or by a plugin in a checkout."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return _in_library(frame) and not _in_core(frame)


def _in_library(frame: traceback.FrameSummary) -> bool:
    return "site-packages" in frame.filename


def _in_core(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(f"{_CORE}{os.sep}")


#: The folder of this package; the first-party plugins lie outside it.
_CORE = os.path.dirname(os.path.abspath(__file__))


def compilation_fault(text: str) -> str | None:
    """Return one sentence for TensorFlow's message that XLA cannot compile an operation; None for any other message."""
    operations = sorted(set(re.findall(r"(\w+) \(No registered", text)))
    if not operations:
        return None
    created = text.partition("The op is created at:")[2].partition("tf2xla conversion failed")[0]
    places = [place for place in re.findall(r'File "(.*)", line (\d+)', created) if "site-packages" not in place[0]]
    where = f' (file "/{places[-1][0]}", line {places[-1][1]})' if places else ""
    return (
        f"XLA cannot compile the operation {', '.join(operations)}{where}: use operations of TensorFlow alone, without "
        "py_function, numpy_function or files"
    )


def explained(error: Exception) -> tuple[int, str | None]:
    """Return the exit code and the message of an error; a fault of the program has no message."""
    if isinstance(error, (PluginFault, NonFiniteError)):
        return 1, str(error)
    if isinstance(error, UserError):
        return 2, str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
        reason = str(getattr(error, "message", None) or error).partition("\n")[0]
        return 2, f"out of memory or disk: {reason or 'an allocation failed'}; files saved earlier are kept"
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else "the output could not be written: "
        return 2, f"{where}{error.strerror or error}"
    unsupported = compilation_fault(str(error))
    return (1, None) if unsupported is None else (2, unsupported)


#: Number of known names that a message lists.
_MOST_LISTED = 20


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names similar to this one, the most similar first."""
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the most similar known names, or lists all if none is similar."""
    known = sorted(known)
    near = nearest(name, known)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    if not known:
        return "None is installed."
    others = f" and {len(known) - _MOST_LISTED} others" if len(known) > _MOST_LISTED + 1 else ""
    return f"Known: {', '.join(known if not others else known[:_MOST_LISTED])}{others}."
