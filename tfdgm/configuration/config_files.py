"""Where config files are, and how they are read.

A name that a user gives is looked for as it stands, then among the configs that travel in the package; in an include,
first beside the file that has it. What tfdgm itself names, and what a packaged config includes, is a packaged file
whatever the current folder holds: a folder from elsewhere must not change what `tfdgm train` means.
"""

import contextlib
import os
import stat
from importlib import resources
from pathlib import Path

from tfdgm.errors import UserError, nearest
from tfdgm.system.files import open_regular

#: Bytes of a config file; more is refused unread.
LARGEST_FILE = 400_000


class Packaged(str):
    """The short path of a packaged config, or of a folder of them, that a file of the current folder cannot replace."""


DEFAULT_CONFIG = Packaged("digits/vae.gin")


def config_root() -> Path:
    """The folder of packaged configs, in a checkout and in an installed wheel alike."""
    packaged = Path(str(resources.files("tfdgm"))) / "gin_configs"
    return packaged if packaged.is_dir() else Path(str(resources.files("tfdgm"))).parent / "gin"


def find_file(name: str, beside: Path | None = None) -> Path:
    """Finds a config file.

    Args:
      name: a path, or the short path of a packaged config.
      beside: the folder of the file that includes it; None where no file does.

    Raises:
      UserError: there is none, or it is a folder, a pipe or a device.
    """
    other = None
    for root in _roots(name, beside):
        try:
            mode = os.stat(root / name).st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a character that no path has
            continue
        except OSError as error:
            raise UserError(f"the config file {name!r:.200} cannot be read: {error.strerror}") from None
        if stat.S_ISREG(mode):
            return root / name
        other = other or _kind(mode)
    if other and not _theme(name):
        raise UserError(f"{name!r} is {other}; a config must be a regular file")
    raise UserError(_missing(name, beside))


def in_flags(name: str) -> str:
    """How a flag names a packaged config: by its short path, or by the whole path where that would find another."""
    if not isinstance(name, Packaged):
        return name
    path = find_file(name)
    try:
        return str(name) if find_file(str(name)).samefile(path) else str(path)
    except (OSError, UserError):
        return str(path)


def read_file(path: Path) -> str:
    """The text of a config file: UTF-8 in every locale, with or without a byte order mark.

    Raises:
      UserError: it cannot be read, is no regular file, is too large, or is not UTF-8.
    """
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_FILE + 1) or b""
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise UserError(f"{path} has more than {LARGEST_FILE:,} bytes, which is too large for a config")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        encoding = "; it looks like UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise UserError(f"{path}:{line}: the file is not UTF-8 text{encoding}; save it as UTF-8") from None


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
    """The folder of packaged configs that a name begins with."""
    head = name.partition("/")[0]
    return head if head and not head.startswith(".") and (config_root() / head).is_dir() else None


def _missing(name: str, beside: Path | None) -> str:
    """The message about a name that no file has: near names, or the files of its theme, or the themes."""
    quoted = repr(name if len(name) <= 200 else name[:196] + " ...")
    packaged = sorted(path.relative_to(config_root()).as_posix() for path in config_root().rglob("*.gin"))
    theme = _theme(name)
    of_theme = ", ".join(path for path in packaged if path.startswith(f"{theme}/"))
    if name.rstrip("/") == theme:
        return f"{quoted} is a folder of packaged configs: {of_theme}"
    same_name = [path for path in packaged if Path(path).name == Path(name).name]
    near = list(dict.fromkeys([*nearest(name, {*packaged, *_beside(name, beside)}), *same_name]))[:3]
    if near:
        return f"there is no config file {quoted}. Did you mean {' or '.join(map(repr, near))}?"
    if theme:
        return f"there is no config file {quoted}. In {theme} are {of_theme}."
    themes = sorted({path.partition("/")[0] for path in packaged})
    return (
        f"there is no config file {quoted}. Packaged ones are in {', '.join(themes)}; "
        f"--gin_file={themes[0]} lists those of {themes[0]}."
    )


def _beside(name: str, beside: Path | None) -> list[str]:
    """The gin files in the folder of a name that no file has, named as a user would."""
    found = []
    for root in _roots(name, beside):
        with contextlib.suppress(OSError, ValueError):
            found += [path.name for path in (root / name).parent.iterdir() if path.suffix == ".gin"]
    return [(Path(name).parent / file).as_posix() for file in found]
