"""Where config files are: as given, beside the file that includes them, or among those that travel in the package."""

from importlib import resources
from pathlib import Path

from tfdgm.errors import UserError, did_you_mean, nearest

DEFAULT_CONFIG = "digits/vae.gin"


def config_root() -> Path:
    """The folder of packaged configs, in a checkout and in an installed wheel alike."""
    packaged = Path(str(resources.files("tfdgm"))) / "gin_configs"
    return packaged if packaged.is_dir() else Path(str(resources.files("tfdgm"))).parent / "gin"


def find_file(name: str, beside: Path | None = None) -> Path:
    """A config file: as given, beside the file that includes it, or a packaged one by its short path."""
    roots = [beside, Path(), config_root()] if beside else [Path(), config_root()]
    for root in roots:
        if (root / name).is_file():
            return root / name
    whole = [path.relative_to(config_root()).as_posix() for path in config_root().glob("*/*.gin")]
    if nearest(name, whole):
        raise UserError(f"there is no config file {name!r}. {did_you_mean(name, whole)}")
    raise UserError("\n  ".join([f"there is no config file {name!r}. These are packaged:", *sorted(whole)]))
