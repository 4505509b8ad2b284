"""Errors with a message for the user, and suggestions for misspelt names."""

import difflib
import re
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct: one message on stderr, exit code 2, no traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class PluginFault(UserError):
    """A plugin's method raised an exception or returned something of the wrong kind; `--debug` prints the traceback."""

    _render_traceback_ = None  # type: ignore[assignment]  # IPython then shows the traceback, to whoever writes the plugin


class NonFiniteError(Exception):
    """Training produced NaN or infinity; the message names the player, the tensor and the step. Exit code 1."""


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
    if isinstance(error, UserError):
        return 2, str(error)
    if isinstance(error, NonFiniteError):
        return 1, str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
        reason = str(getattr(error, "message", None) or error).partition("\n")[0]
        return 2, f"out of memory or disk: {reason or 'an allocation failed'}; files saved earlier are kept"
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else "the output could not be written: "
        return 2, f"{where}{error.strerror or error}"
    unsupported = compilation_fault(str(error))
    return (1, None) if unsupported is None else (2, unsupported)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names similar to this one, the most similar first."""
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the most similar known names, or lists all if none is similar."""
    known = sorted(known)
    near = nearest(name, known)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Known: {', '.join(known)}." if known else "None is installed."
