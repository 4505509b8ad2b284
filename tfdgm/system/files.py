"""Read and write files safely under crashes, full disks and other users' links.

A file or folder is written under a random temporary name in the same folder, created exclusively, and renamed when
complete: readers see either the old or the new content, and a symbolic link of that name is replaced, never followed.
Reading accepts regular files only, so that a pipe or a device cannot block it.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

#: Suffix of every temporary name, by which `remove_leftovers` finds them.
TEMPORARY = ".tmp"


def write_text(path: Path, text: str) -> Path:
    """Replace a text file, in UTF-8 regardless of the locale; escape characters that cannot be encoded."""
    return write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Replace a file."""
    with replacing(path) as file:
        file.write(content)
    return path


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[BinaryIO]:
    """Yield a new file that is renamed to `path` when the block ends, or removed if the block fails.

    Args:
      path: final name of the file.
      durable: whether content and name must survive a power failure after the block.

    Raises:
      OSError: the folder is missing or read-only, or the disk is full; an existing file of that name is unchanged.
    """
    temporary = temporary_name(path)
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            error.filename = str(path)  # the error of a failed write has no file name
        raise
    if durable:
        sync_folder(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that is renamed to `path` when the block ends, or removed if the block fails.

    Temporary folders that a killed process left are removed first.

    Raises:
      OSError: `path` exists and is not an empty folder, or its parent cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    temporary = temporary_name(path)
    temporary.mkdir()
    try:
        yield temporary
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def temporary_name(path: Path) -> Path:
    """Return an unpredictable hidden name in the folder of `path`."""
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}{TEMPORARY}")


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files of interrupted writes of `name`, or of all names, in a folder.

    The caller holds the folder's lock, or knows that no other process writes there.
    """
    prefix = "." if name is None else f".{name[:200]}."
    try:
        entries = [entry for entry in folder.iterdir() if entry.name.startswith(prefix)]
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(TEMPORARY):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
      OSError: it does not exist, is unreadable, or is a folder, pipe or device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path) -> bytes:
    """Read a regular file; raise OSError as `open_regular` does."""
    with open_regular(path) as file:
        return file.read()


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
