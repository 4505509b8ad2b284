"""The files of a run: resuming, evaluating, sampling and exporting need its workdir only."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tfdgm.contracts.quantity import Quantity
from tfdgm.errors import UserError
from tfdgm.runs.metrics_file import read_lines
from tfdgm.runs.record import checked_record
from tfdgm.runs.same_run import EXTEND, differences, refusal
from tfdgm.system import console, strict_json
from tfdgm.system.files import read_bytes, remove_leftovers, write_text
from tfdgm.system.locks import locked
from tfdgm.system.ownership import check_ownership

_FOLDERS = ("checkpoints", "samples", "events")


class Workdir:
    """The folder of a run: writes files atomically, and reads the valid parts of damaged ones.

    Args:
      path: the folder.
      warn: shows a sentence about each damaged file.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] = console.warn) -> None:
        self.path = path
        self.warn = warn
        self._told_of_config = False

    @property
    def config(self) -> Path:
        return self.path / "config.gin"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def check(self, trusted: bool = False) -> None:
        """Raise `UserError` if another user owns the workdir, or its folders are links; see `check_ownership`."""
        check_ownership(self.path, _FOLDERS, trusted)

    def saved_config(self) -> str | None:
        """Return the configuration of the run in this workdir, or None if there is no run or it is unknown.

        If `config.gin` is missing, the configuration is read from the newest intact checkpoint.

        Raises:
          UserError: `config.gin` cannot be read.
        """
        try:
            return read_bytes(self.config).decode()
        except (FileNotFoundError, NotADirectoryError):
            return self._config_of_checkpoint()
        except UnicodeDecodeError as error:
            raise UserError(f"{self.config} is damaged: {error}") from None
        except OSError as error:
            raise UserError(f"{self.config} cannot be read: {error.strerror or error}") from None

    def _config_of_checkpoint(self) -> str | None:
        if not self.checkpoints.is_dir():
            return None
        # not at the top: it imports NumPy, which most commands do not need
        from tfdgm.runs.checkpoint_files import newest_intact

        checkpoint, _ = newest_intact(self.checkpoints)
        if checkpoint is None or checkpoint.config is None:
            return None
        if not self._told_of_config:
            self.warn(f"{self.config} is missing; its content is taken from the checkpoint of step {checkpoint.step}")
        self._told_of_config = True
        return checkpoint.config

    def require_run(self) -> str:
        """Return the configuration of the run in this workdir.

        Raises:
          UserError: the folder does not exist, or contains no run.
        """
        text = self.saved_config()
        if text is None:
            raise UserError(f"{self.path} is not a workdir of tfdgm: it has no {self.config.name}")
        return text

    def differences(self, config: str) -> list[str]:
        """Return the lines in which a configuration differs from this run's; none if there is no run."""
        saved = self.saved_config()
        return [] if saved is None else differences(saved, config)

    def make(self, trusted: bool = False) -> None:
        """Create the folder, or check an existing one.

        Raises:
          UserError: it cannot be created, belongs to another user, or has links in place of folders.
        """
        self.check(trusted)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the workdir {self.path} cannot be created: {error.strerror or error}") from None

    @contextmanager
    def locked(self, enabled: bool = True) -> Iterator[None]:
        """Lock the workdir for this process; see `tfdgm.system.locks.locked`."""
        with locked(self.path, enabled):
            yield

    def admit(self, config: str, extending: bool = False) -> None:
        """Check that a run of a configuration may use the workdir, and change nothing.

        Args:
          config: the configuration.
          extending: whether the run in the workdir continues under other further steps; see `same_run.differences`.

        Raises:
          UserError: it contains a run of another configuration, or none that could be extended.
        """
        saved = self.saved_config()
        if saved is None and self.checkpoints.is_dir() and any(self.checkpoints.glob("step-*.npz")):
            raise UserError(
                f"{self.config} is missing, and no checkpoint in {self.checkpoints} has a copy of it; restore "
                "config.gin, or use another --workdir"
            )
        if saved is None and extending:
            raise UserError(f"{EXTEND}: there is no run in {self.path}")
        if saved is not None and (message := refusal(saved, config, extending, f"{self.path} holds a run")):
            raise UserError(message)

    def begin(self, config: str, extending: bool = False) -> None:
        """Prepare the workdir for a run of a configuration, and write it; the caller holds the lock.

        Args:
          config, extending: see `admit`.

        Raises:
          UserError: see `admit`; or the workdir is read-only.
        """
        self.admit(config, extending)
        try:
            remove_leftovers(self.path)
            self.samples.mkdir(exist_ok=True)
            self.write("config.gin", config)
        except OSError as error:
            raise UserError(f"the workdir {self.path} cannot be written: {error.strerror or error}") from None

    def write(self, name: str, text: str) -> Path:
        """Replace a text file."""
        return write_text(self.path / name, text)

    def write_json(self, name: str, value: Mapping[str, Any]) -> Path:
        """Replace a JSON file; see `tfdgm.system.strict_json`."""
        return self.write(name, strict_json.dumps(value, indent=2) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON object; an empty one if the file does not exist or, with a warning, if it is damaged."""
        try:
            value = strict_json.loads(read_bytes(self.path / name))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            self.warn(f"{self.path / name} is damaged and ignored: {getattr(error, 'strerror', None) or error}")
            return {}
        if not isinstance(value, dict):
            self.warn(f"{self.path / name} is damaged and ignored: it is not a JSON object")
            return {}
        return value

    def run_record(self) -> dict[str, Any]:
        """Return the valid parts of `run.json`; see `tfdgm.runs.record`."""
        return checked_record(self.read_json("run.json"), lambda text: self.warn(f"{self.path / 'run.json'}: {text}"))

    def recorded_package(self, name: str) -> str | None:
        """Return the package whose plugin `KIND.NAME` this run uses, as its record says; None if it does not say."""
        return self.run_record().get("plugins", {}).get(name, {}).get("distribution")

    def scores(self) -> dict[str, Any]:
        """Return the numbers and remarks of `eval.json` by name; other values are ignored with a warning."""
        scores = {}
        for name, value in self.read_json("eval.json").items():
            found = strict_json.number(value)
            if found is None and not isinstance(value, str):
                self.warn(f"{self.path / 'eval.json'}: {name!r} is neither a number nor a text; it is ignored")
                continue
            scores[name] = value if found is None else found
        return scores

    def quantities(self) -> dict[str, Quantity]:
        """Return the meaning of the keys of `eval.json` from `scores.json`; invalid ones are ignored with a warning."""
        quantities = {}
        for key, value in self.read_json("scores.json").items():
            quantity = Quantity.parsed(value)
            if quantity is None:
                self.warn(f"{self.path / 'scores.json'}: {key!r} is not the meaning of a score; it is ignored")
                continue
            quantities[key] = quantity
        return quantities

    def metrics(self) -> list[dict[str, float]]:
        """Return the valid lines of `metrics.jsonl`; see `tfdgm.runs.metrics_file`."""
        try:
            return read_lines(self.path / "metrics.jsonl")
        except FileNotFoundError:
            return []
        except OSError as error:
            self.warn(f"{self.path / 'metrics.jsonl'} cannot be read: {error.strerror or error}")
            return []


@contextmanager
def new_folder(parent: Path, name: str) -> Iterator[Path]:
    """Create a folder `NAME-TIME`; after the block, remove it if it is empty, and its parent if created here.

    If the name is taken, a number is appended.

    Raises:
      UserError: it cannot be created.
    """
    there_before = parent.exists()
    path = _make_new(parent, name)
    try:
        yield path
    finally:
        with suppress(OSError):  # only empty folders are removed
            path.rmdir()
            if not there_before:
                parent.rmdir()


def _make_new(parent: Path, name: str) -> Path:
    stem = parent / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(1, 10_000):
        path = stem if number == 1 else Path(f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"the folder {path} cannot be created: {error.strerror or error}") from None
    raise UserError(f"there are already 9,999 folders {stem}-N; choose one with --workdir")
