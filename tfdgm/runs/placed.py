"""Values of a configuration that refer to files in the run's own workdir, wherever that is."""

from pathlib import Path

#: The beginning of such a value: `data.npz.path = "{workdir}/data.npz"`.
WORKDIR = "{workdir}"


def placed(config: str, workdir: Path) -> str:
    """Return a configuration with `{workdir}` replaced by the path of a folder, escaped for literals of both quotes.

    `config.gin` keeps the placeholder, so that a workdir can be moved.
    """
    path = str(workdir).encode("unicode_escape").decode().replace("'", "\\'").replace('"', '\\"')
    return config.replace(WORKDIR, path)
