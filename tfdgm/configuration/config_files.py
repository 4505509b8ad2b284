"""Finding and reading config files.

A name given by a user is looked up as a path, then among the packaged configs; in an include, first in the folder of
the including file. Names given by tfdgm itself, and includes of packaged configs, always refer to packaged files: files
in the current folder must not change what `tfdgm train` does.
"""

import contextlib
import os
import stat
from importlib import resources
from pathlib import Path

from tfdgm.errors import UserError, nearest
from tfdgm.system.files import open_regular

#: Largest size of a config file in bytes.
LARGEST_FILE = 400_000


class Packaged(str):
    """The short path of a packaged config or folder; a file in the current folder cannot replace it."""


DEFAULT_CONFIG = Packaged("digits/vae.gin")


def config_root() -> Path:
    """Return the folder of packaged configs, in a checkout or an installed wheel."""
    packaged = Path(str(resources.files("tfdgm"))) / "gin_configs"
    return packaged if packaged.is_dir() else Path(str(resources.files("tfdgm"))).parent / "gin"


def find_file(name: str, beside: Path | None = None) -> Path:
    """Find a config file.

    Args:
      name: a path, or the short path of a packaged config.
      beside: the folder of the including file; None if it is not included.

    Raises:
      UserError: it does not exist, or is a folder, a pipe or a device.
    """
    kind = None
    for root in _roots(name, beside):
        try:
            mode = os.stat(root / name).st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a character not allowed in paths
            continue
        except OSError as error:
            raise UserError(f"cannot read the config file {name!r:.200}: {error.strerror}") from None
        if stat.S_ISREG(mode):
            return root / name
        kind = kind or _kind(mode)
    if kind and not _theme(name):
        raise UserError(f"{name!r} is {kind}; a config must be a regular file")
    raise UserError(_missing(name, beside))


def in_flags(name: str) -> str:
    """Return the flag value for a packaged config: its short path, or the full path if that would find another file."""
    if not isinstance(name, Packaged):
        return name
    path = find_file(name)
    try:
        return str(name) if find_file(str(name)).samefile(path) else str(path)
    except (OSError, UserError):
        return str(path)


def read_file(path: Path) -> str:
    """Read a config file: UTF-8 in every locale, with or without a byte order mark.

    Raises:
      UserError: it cannot be read, is not a regular file, is too large, or is not UTF-8.
    """
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_FILE + 1) or b""
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise UserError(f"{path} is too large: a config has at most {LARGEST_FILE:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        encoding = "; it looks like UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise UserError(f"{path}:{line}: the file is not UTF-8{encoding}; save it as UTF-8") from None


def _roots(name: str, beside: Path | None) -> list[Path]:
    packaged = config_root()
    if isinstance(name, Packaged):
        return [packaged]
    if beside is None:
        return [Path(), packaged]
    if beside.resolve().is_relative_to(packaged.resolve()):
        return [beside, packaged]
    return [beside, Path(), packaged]


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _theme(name: str) -> str | None:
    """Return the folder of packaged configs that a name starts with."""
    head = name.partition("/")[0]
    return head if head and not head.startswith(".") and (config_root() / head).is_dir() else None


def _missing(name: str, beside: Path | None) -> str:
    """Return the message about a missing file: similar names, or the files of its theme, or all themes."""
    quoted = repr(name if len(name) <= 200 else name[:196] + " ...")
    packaged = sorted(path.relative_to(config_root()).as_posix() for path in config_root().rglob("*.gin"))
    theme = _theme(name)
    of_theme = ", ".join(path for path in packaged if path.startswith(f"{theme}/"))
    if name.rstrip("/") == theme:
        return f"{quoted} is a folder of packaged configs: {of_theme}"
    same_name = [path for path in packaged if Path(path).name == Path(name).name]
    near = list(dict.fromkeys([*nearest(name, {*packaged, *_beside(name, beside)}), *same_name]))[:3]
    if near:
        return f"config file {quoted} not found. Did you mean {' or '.join(map(repr, near))}?"
    if theme:
        return f"config file {quoted} not found. {theme} contains {of_theme}."
    themes = sorted({path.partition("/")[0] for path in packaged})
    return (
        f"config file {quoted} not found. Packaged configs are in {', '.join(themes)}; "
        f"--gin_file={themes[0]} lists those in {themes[0]}."
    )


def _beside(name: str, beside: Path | None) -> list[str]:
    """Return the gin files in the folder of a missing file, as a user would name them."""
    found = []
    for root in _roots(name, beside):
        with contextlib.suppress(OSError, ValueError):
            found += [path.name for path in (root / name).parent.iterdir() if path.suffix == ".gin"]
    return [(Path(name).parent / file).as_posix() for file in found]
