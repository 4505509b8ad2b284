"""Reading every file of a folder once, before training, and remembering which could be read."""

import contextlib
import hashlib
import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tfdgm import UserError, user_cache

#: More than processors, since reading also waits for the disk; each thread holds one image in memory.
READERS = min(8, 2 * (os.cpu_count() or 1))
#: Seconds after which the progress is shown.
_PATIENCE = 1.0


def find_unreadable(folder: Path, names: Sequence[str], read: Callable[[Path], Any], reading: str) -> dict[str, str]:
    """Read every file that has not been read before, in several threads; show the progress if that takes long.

    A file with the name, size and modification time of one that was read is not read again. That is remembered in the
    user's cache folder, by folder and `reading`; where it cannot be written, all files are read again the next time.

    Args:
      folder: the folder.
      names: relative paths of the files.
      read: reads a file; raises `UserError` if it cannot. Must be thread-safe.
      reading: everything beside the file that decides whether it can be read.

    Returns:
      The messages of the files that cannot be read, by name in the order of `names`.
    """
    memory = _memory(folder, reading)
    stamps = {name: _stamp(folder / name) for name in names}
    known = _remembered(memory)
    new = [name for name, stamp in stamps.items() if stamp is None or known.get(name) != stamp]
    failures: dict[str, str] = {}
    verified: dict[str, list[int] | None] = {name: stamps[name] for name in set(names) - set(new)}
    try:
        for name, failure in _read_all(folder, new, read):
            if failure is None:
                verified[name] = stamps[name]
            else:
                failures[name] = failure
    finally:  # an interrupted reading is not lost either
        if new:
            _remember(memory, verified)
    return {name: failures[name] for name in names if name in failures}


def _read_all(folder: Path, names: Sequence[str], read: Callable[[Path], Any]) -> Iterator[tuple[str, str | None]]:
    """Yield (name, message of the failure or None) as the files are read."""
    if not names:
        return

    def attempt(name: str) -> str | None:
        try:
            read(folder / name)
        except UserError as error:
            return str(error)
        return None

    pool = ThreadPoolExecutor(READERS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns of large images, which are refused, and of damaged metadata
            futures: dict[Future, str] = {pool.submit(attempt, name): name for name in names}
            for future in _shown(as_completed(futures), len(futures)):
                yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _shown(futures: Iterator[Future], count: int) -> Iterator[Future]:
    """Yield the same, with a bar on standard error after a second; where that is not a terminal, its last state."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading every image once"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    task = progress.add_task("", total=count)
    began, started = time.monotonic(), False
    try:
        for future in futures:
            yield future
            progress.advance(task)
            if not started and time.monotonic() - began > _PATIENCE:
                progress.start()
                started = True
    finally:
        if started:
            progress.stop()


def _stamp(file: Path) -> list[int] | None:
    """Return size and modification time; None if the file is missing."""
    with contextlib.suppress(OSError):
        facts = file.stat()
        return [facts.st_size, facts.st_mtime_ns]
    return None


def _memory(folder: Path, reading: str) -> Path | None:
    """Return the file that remembers what was read; None if nothing is to be cached."""
    cache = user_cache("images")
    if cache is None:
        return None
    key = hashlib.sha256(f"{folder.resolve()}\n{reading}".encode(errors="surrogateescape")).hexdigest()
    return cache / f"{key[:32]}.json"


def _remembered(memory: Path | None) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads(memory.read_text(encoding="utf-8")) if memory else {}
        return content if isinstance(content, dict) else {}
    return {}


def _remember(memory: Path | None, verified: dict[str, list[int] | None]) -> None:
    """Write the stamps of the files that were read; do nothing where that fails."""
    if memory is None:
        return
    temporary = memory.with_name(f".{memory.name}.{secrets.token_hex(8)}.tmp")
    with contextlib.suppress(OSError):
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(temporary, "x", encoding="utf-8") as file:
                json.dump(verified, file)
            os.replace(temporary, memory)
        finally:
            temporary.unlink(missing_ok=True)
