"""The user's cache of programs that XLA compiled, shared by all commands.

XLA does not check the entries of its cache folder: a damaged one ends the run, and an entry is machine code that runs
as the user. Every process therefore gets a separate folder (a session), with links to those entries of the store that
belong to this user, are complete, and match the checksum in their name. The programs that it compiles are moved to the
store when it ends. There is one store for each version of TensorFlow and each processor.
"""

import contextlib
import hashlib
import os
import platform
import secrets
import shutil
import stat
import time
import zlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tfdgm.errors import UserError
from tfdgm.system.locks import is_locked, locked
from tfdgm.system.user_cache import OFF, VARIABLE, user_cache
from tfdgm.system.xla_entry import is_entry

#: Size of the store in bytes above which the least recently used entries are removed.
LIMIT = 1 << 30
#: Free space below which nothing is written: a disk that becomes full during a compilation would end the run.
_FREE_BYTES = 256 << 20
_SESSIONS = "sessions"
#: Beginning of the name of every store; a folder that the variable sets holds other caches beside them.
_STORE = "tensorflow-"
_ABANDONED_SECONDS = 3_600.0


class Unusable(Exception):
    """The cache cannot be used; the message gives the reason."""


def root() -> Path | None:
    """Return the root folder, from the variable or in the user's cache folder; None if the cache is disabled."""
    chosen = os.environ.get(VARIABLE, "")
    return Path(chosen).absolute() if chosen not in ("", OFF) else user_cache("programs")


def store_name() -> str:
    """Return the name of the store of this version of TensorFlow on this processor."""
    try:
        tensorflow = version("tensorflow")
    except PackageNotFoundError:
        tensorflow = "none"
    return f"{_STORE}{tensorflow}-{platform.machine()}-{_processor()}"


def _processor() -> str:
    """Return a digest of the processor's model and features."""
    facts = {platform.processor()}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        names = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part")
        facts |= {line.strip() for line in file if line.partition(":")[0].strip() in names}
    return hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()[:16]


def check_private(folder: Path) -> None:
    """Create a folder, or check that only this user can write to an existing one.

    Raises:
      Unusable: it is not a folder, belongs to another user, or is writable by others.
    """
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise Unusable(f"{folder} cannot be created: {error.strerror or error}") from None
    if not stat.S_ISDIR(facts.st_mode):
        raise Unusable(f"{folder} is not a folder")
    if not _is_private(facts):
        raise Unusable(f"{folder} belongs to another user, or is writable by others (chmod go-w)")


def _is_private(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


class Session:
    """The cache folder of one process.

    Attributes:
      folder: the folder that XLA reads and writes.
      found: names of the entries linked from the store.
      read_only: whether XLA must not write, since the disk is almost full.
    """

    def __init__(self, base: Path) -> None:
        """Create the folder, which is empty until `link` is called.

        Args:
          base: the root folder; created if it is missing.

        Raises:
          Unusable: the folders are not private to this user, or cannot be written.
        """
        self.store = base / store_name()
        sessions = base / _SESSIONS
        for folder in (base, self.store, sessions):
            check_private(folder)
        self.owner = os.getpid()
        self.folder = sessions / secrets.token_hex(8)
        self.found: set[str] = set()
        try:
            self._adopt(sessions)
            hidden = sessions / f".{self.folder.name}"  # hidden, so that no process adopts it before it is locked
            hidden.mkdir(mode=0o700)
            self._lock = locked(hidden)
            self._lock.__enter__()
            hidden.rename(self.folder)
            self.read_only = shutil.disk_usage(self.folder).free < _FREE_BYTES
        except (OSError, UserError) as error:
            raise Unusable(f"{base} cannot be used: {getattr(error, 'strerror', None) or error}") from None

    def _adopt(self, sessions: Path) -> None:
        """Publish and remove the sessions of killed processes."""
        for folder in sessions.iterdir():
            with contextlib.suppress(OSError):  # its own process, or another that adopts it, was faster
                if folder.name.startswith("."):
                    if time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                        shutil.rmtree(folder, ignore_errors=True)
                elif folder.is_dir() and not folder.is_symlink() and not is_locked(folder):
                    self._publish(folder)
                    shutil.rmtree(folder, ignore_errors=True)

    def link(self) -> None:
        """Link the intact entries of the store, and remove the others."""
        with contextlib.suppress(OSError):
            for entry in self.store.iterdir():
                name = _intact_name(entry)
                if name is None:
                    entry.unlink(missing_ok=True)
                    continue
                with contextlib.suppress(OSError):
                    os.link(entry, self.folder / name)
                    self.found.add(name)
                    os.utime(entry, ns=(0, entry.stat().st_mtime_ns))  # marks it as not read yet, for `_publish`

    def compiled(self) -> list[str]:
        """Return the names of the entries that this process compiled."""
        with contextlib.suppress(OSError):
            return [entry.name for entry in self.folder.glob("*.pb") if entry.name not in self.found]
        return []

    def read(self) -> list[str]:
        """Return the names of the entries that XLA read; none where the file system records no access times."""
        names = []
        for name in self.found:
            with contextlib.suppress(OSError):
                if (self.folder / name).stat().st_atime_ns > 0:
                    names.append(name)
        return names

    def close(self, limit: int = LIMIT) -> None:
        """Move compiled programs to the store, bound its size, remove the session; do nothing in a forked process."""
        if os.getpid() != self.owner or not self.folder.is_dir():
            return
        with contextlib.suppress(OSError):
            self._publish(self.folder)
            trim(self.store, limit)
        with contextlib.suppress(OSError):
            self._lock.__exit__(None, None, None)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _publish(self, folder: Path) -> None:
        """Move the complete entries of a session to the store."""
        for entry in folder.glob("*.pb"):
            with contextlib.suppress(OSError):
                if entry.name in self.found and folder == self.folder:
                    if entry.stat().st_atime_ns > 0:  # XLA read it; without access times, the oldest are trimmed first
                        os.utime(entry)
                    continue
                content = entry.read_bytes()
                if not is_entry(entry.name, content) or not _is_private(entry.lstat()):
                    continue
                os.chmod(entry, 0o600)
                os.replace(entry, self.store / f"{entry.stem}.{zlib.crc32(content):08x}.pb")


def _intact_name(entry: Path) -> str | None:
    """Return XLA's name of an entry of the store, or None if it is damaged or another user could have written it."""
    try:
        stem, checksum = entry.stem.rsplit(".", 1)
        facts = entry.lstat()
        if not stat.S_ISREG(facts.st_mode) or not _is_private(facts):
            return None
        content = entry.read_bytes()
    except (OSError, ValueError):
        return None
    name = f"{stem}.pb"
    return name if f"{zlib.crc32(content):08x}" == checksum and is_entry(name, content) else None


def trim(store: Path, limit: int) -> None:
    """Remove the least recently used entries of a store, until the others take at most `limit` bytes."""
    facts = sorted(((entry.stat(), entry) for entry in store.iterdir()), key=lambda item: item[0].st_mtime)
    excess = sum(fact.st_size for fact, _ in facts) - limit
    for fact, entry in facts:
        if excess <= 0:
            return
        entry.unlink(missing_ok=True)
        excess -= fact.st_size


def stores(base: Path) -> Iterator[tuple[str, int, int]]:
    """Yield (name, number of entries, bytes) of every store."""
    for store in sorted(base.iterdir()) if base.is_dir() else []:
        if store.name.startswith(_STORE) and store.is_dir():
            sizes = [entry.stat().st_size for entry in store.iterdir()]
            yield store.name, len(sizes), sum(sizes)


def clear(base: Path) -> None:
    """Remove all stores; the sessions of running processes keep their links."""
    for name, _, _ in list(stores(base)):
        shutil.rmtree(base / name, ignore_errors=True)
