"""Lock a folder for one process; the system releases the lock when the process ends, even if it is killed."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfdgm.errors import UserError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

#: Error numbers of flock if another process holds the lock.
_HELD = (errno.EAGAIN, errno.EACCES)
#: The flag that disables the lock.
FLAG = "--no_lock"


@contextmanager
def locked(folder: Path, enabled: bool = True) -> Iterator[None]:
    """Lock a folder within the block, by its file `.lock`.

    Args:
      folder: must exist.
      enabled: False skips the lock, if the user knows that no other process writes there.

    Raises:
      UserError: another process holds the lock, or the file system does not support locks.
    """
    if not enabled:
        yield
        return
    path = folder / ".lock"
    descriptor = _open(path)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UserError(f"{path} is not a regular file; remove it")
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Return whether another process holds the lock of a folder; False if that cannot be determined."""
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError as error:
        return error.errno in _HELD
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open the lock file, or create it; keep its content, and do not follow a link."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path} is a symbolic link, which the lock does not follow; remove it") from None
        if error.errno == errno.EISDIR:
            raise UserError(f"{path} is a folder; remove it") from None
        raise UserError(f"{path} cannot be opened for the lock: {error.strerror}; {FLAG} disables the lock") from None


def _lock(descriptor: int, folder: Path) -> None:
    if fcntl is None:
        raise UserError(f"this system has no file locks (fcntl); {FLAG} disables the lock")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise UserError(f"another process holds {folder}; use another --workdir or wait for it") from None
        raise UserError(
            f"the file system of {folder} cannot lock files: {error.strerror} (errno {error.errno}). If no other "
            f"process uses this folder, disable the lock with {FLAG}"
        ) from None
