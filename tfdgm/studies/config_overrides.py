"""Read `--gin_for`: config files for single choices, as `KIND.NAME=FILE` or a folder of files `KIND.NAME.gin`."""

from collections.abc import Iterable
from pathlib import Path

from tfdgm.configuration.config_files import Packaged, config_root, find_file, in_flags
from tfdgm.errors import UserError, did_you_mean
from tfdgm.studies.combinations import KINDS, chosen


def read_files_by_choice(values: Iterable[str]) -> dict[str, list[str]]:
    """Return the config files of each choice, in order.

    Args:
      values: of the flag.

    Raises:
      UserError: a choice, file or folder does not exist.
    """
    files: dict[str, list[str]] = {}
    for text in values:
        choice, equals, file = text.partition("=")
        if equals:
            find_file(file)
            files.setdefault(_choice(choice, text), []).append(file)
            continue
        for path in sorted(_folder(text).glob("*.gin")):
            name = f"{text.rstrip('/')}/{path.name}"
            name = in_flags(Packaged(name)) if isinstance(text, Packaged) else name
            files.setdefault(_choice(path.stem, str(path)), []).append(name)
    return files


def _choice(name: str, where: str) -> str:
    """Return `KIND.NAME` spelled as in cells."""
    kind, _, plain = name.partition(".")
    if kind not in KINDS or not plain:
        known = " or ".join(f"{kind}.NAME" for kind in KINDS)
        raise UserError(f"--gin_for: {where}: {name!r} is not {known}. {did_you_mean(kind, KINDS)}")
    try:
        return f"{kind}.{chosen(kind, [plain])[0]}"
    except UserError as error:
        raise UserError(f"--gin_for: {where}: {error}") from None


def _folder(name: str) -> Path:
    for root in [config_root()] if isinstance(name, Packaged) else [Path(), config_root()]:
        if (root / name).is_dir():
            return root / name
    packaged = [str(path.relative_to(config_root())) for path in config_root().rglob("*") if path.is_dir()]
    raise UserError(
        f"--gin_for: {name!r} is neither KIND.NAME=FILE nor a folder of files KIND.NAME.gin. "
        f"{did_you_mean(name, packaged)}"
    )
