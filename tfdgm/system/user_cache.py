"""The folder in which tfdgm keeps what it can compute again, for one user."""

import os
from pathlib import Path

#: The environment variable that sets the folder, or is "off".
VARIABLE = "TFDGM_CACHE"
OFF = "off"


def user_cache(purpose: str) -> Path | None:
    """Return the folder for what is cached for a purpose, which may not exist yet; None if nothing is to be cached.

    The variable TFDGM_CACHE sets the folder of all purposes, or is "off".

    Args:
      purpose: name of the subfolder.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen == OFF:
        return None
    if chosen:
        return Path(chosen).absolute() / purpose
    import platformdirs

    return Path(platformdirs.user_cache_dir("tfdgm", appauthor=False)) / purpose
