"""Print lines, warnings and tables, and survive the loss of the terminal or pipe."""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: Whether the running command prints its progress, and details beyond it; `verbosity` sets both.
_progress, _details = True, False


@contextmanager
def verbosity(*, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Choose what is printed within the block.

    Args:
      quiet: print results, warnings and errors only: `say` prints nothing, and there is no progress bar.
      verbose: print the lines of `detail` too.
    """
    global _progress, _details
    before = _progress, _details
    _progress, _details = not quiet, verbose
    try:
        yield
    finally:
        _progress, _details = before


def shows_progress() -> bool:
    """Return whether progress is to be printed."""
    return _progress


def shows_details() -> bool:
    """Return whether details are to be printed."""
    return _details


def say(line: str) -> None:
    """Print a line of progress and flush it; nothing in a quiet command."""
    if _progress:
        print(line, flush=True)


def detail(line: str) -> None:
    """Print a line to standard error if the command is verbose."""
    if _details:
        print(f"tfdgm: {line}", file=sys.stderr, flush=True)


def warn(line: str) -> None:
    """Print a warning to standard error."""
    print(f"tfdgm: warning: {line}", file=sys.stderr, flush=True)


def complain(line: str) -> None:
    """Print the reason why a command fails to standard error."""
    print(f"tfdgm: {line}", file=sys.stderr, flush=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "", right: str = "", wrap: bool = True
) -> None:
    """Print a table with literal texts, even if they look like markup.

    Args:
      columns: names of the columns.
      rows: one value for each column.
      title: line above the table.
      right: name of a column to align on the right.
      wrap: whether to wrap long texts.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None)
    for column in columns:
        justify: Any = "right" if column == right else "left"
        table.add_column(Text(column), justify=justify, overflow="fold", no_wrap=not wrap)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    Console().print(table)


@contextmanager
def streams_for(result_is_printed: bool) -> Iterator[None]:
    """Make standard output and standard error safe to print to within the block.

    Closed descriptors are opened on the null device; otherwise the next opened file would get their number and receive
    the output. Characters missing from the terminal's encoding are escaped. If a stream can no longer be written (a
    closed terminal or pipe, a full disk), further output to it is discarded, and the command continues.

    Args:
      result_is_printed: whether the output is the command's only result; a failing output then ends the command.
    """
    _open_descriptors()
    before = sys.stdout, sys.stderr
    error = Surviving(_encodable(sys.stderr or _null_stream()))
    output = _encodable(sys.stdout or _null_stream())
    sys.stderr = error  # type: ignore[assignment]
    sys.stdout = output if result_is_printed else Surviving(output, error)  # type: ignore[assignment]
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


class Surviving(io.TextIOBase):
    """A text stream that discards its output once a write has failed.

    Args:
      stream: the stream to write to.
      error: the stream on which to report the failure, once.
    """

    def __init__(self, stream: Any, error: Any = None) -> None:
        self._stream = stream
        self._error = error

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, work: Any) -> None:
        try:
            work()
        except (OSError, ValueError) as problem:  # ValueError: it is closed
            failed, self._stream = self._stream, _null_stream()
            drop(failed)
            if self._error is not None:
                self._error.write(f"tfdgm: warning: the output cannot be written ({problem}); continuing without it\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def drop(stream: Any) -> None:
    """Flush the buffer of a failed stream to the null device, so that flushing it at exit does not fail again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
            stream.flush()
        finally:
            os.close(nowhere)


def _open_descriptors() -> None:
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _null_stream() -> Any:
    return open(os.devnull, "w", encoding="utf-8")


def _encodable(stream: Any) -> Any:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
