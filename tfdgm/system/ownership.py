"""Refuse to write to folders of other users, and through links inside our own."""

import os
from collections.abc import Iterable
from pathlib import Path

from tfdgm.errors import UserError

#: The flag that accepts such folders.
FLAG = "--trust_workdir"


def check_ownership(folder: Path, children: Iterable[str] = (), trusted: bool = False) -> None:
    """Check that an existing folder belongs to this user and that its subfolders are not links.

    The owner of a folder can create links to other users' files in it, and replace its files at any time. `folder`
    itself may be a link, since the user named it.

    Args:
      folder: the folder named by the user; one that does not exist passes.
      children: names of the subfolders that are written to.
      trusted: whether the user accepts other owners and links.

    Raises:
      UserError: the folder belongs to another user, a subfolder is a symbolic link, or one is not a folder.
    """
    try:
        owner = folder.stat().st_uid
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{folder} cannot be opened: {error.strerror or error}") from None
    if not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder")
    if owner not in _ours() and not trusted:
        raise UserError(
            f"{folder} belongs to another user (uid {owner}), who could change what is read and written there; "
            f"{FLAG} accepts it"
        )
    for child in (folder / name for name in children):
        if child.is_symlink() and not trusted:
            raise UserError(
                f"{child} is a symbolic link, so files would be written and removed elsewhere ({child.readlink()}); "
                f"{FLAG} accepts it"
            )
        if not child.is_dir() and (child.exists() or child.is_symlink()):
            raise UserError(f"{child} is not a folder; move it away")


def _ours() -> set[int]:
    """Return this process's user id, and that of the caller of sudo."""
    users = {os.geteuid()}
    caller = os.environ.get("SUDO_UID", "")
    return users | {int(caller)} if os.geteuid() == 0 and caller.isdecimal() else users
