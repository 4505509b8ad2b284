"""The platforms that tfdgm supports."""

import os
import sys

from tfdgm.errors import UserError


def check_platform() -> None:
    """Refuse systems that are not POSIX: a run needs its file locks (`fcntl`), atomic renames and signals.

    Raises:
      UserError: this is Windows, or another system that is not POSIX.
    """
    if os.name != "posix":
        raise UserError(
            f"tfdgm supports Linux and macOS, not {sys.platform}; on Windows, install it in WSL 2 "
            "(https://learn.microsoft.com/windows/wsl)"
        )
