"""The files of a run: one workdir is all that resuming, evaluating, sampling and exporting need."""

import difflib
import fcntl
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tfdgm.errors import UserError
from tfdgm.registry import Plugin

_VERSIONS = (
    "tfdgm",
    "tensorflow",
    "tensorflow-probability",
    "tf-keras",
    "keras",
    "gin-config",
    "numpy",
    "scikit-learn",
)

#: Settings of how a run is carried out, not of what it computes; a resumed run may change them.
_FREE_SETTINGS = tuple(
    f"experiment.{name}"
    for name in (
        "checkpoint_seconds",
        "keep_checkpoints",
        "keep_best",
        "best_is",
        "grace_seconds",
        "strategy",
        "replicas",
        "cluster",
        "kubernetes_selector",
        "kubernetes_pods",
        "tpu",
    )
)


class Workdir:
    """Names of the files, and how they are written: whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Path:
        return self.path / "config.gin"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def saved_config(self) -> str | None:
        """The configuration of the run in here, or None where there is none."""
        try:
            return self.config.read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.config} cannot be read: {error}") from None

    def require_run(self) -> str:
        """The configuration of the run that must be in here.

        Raises:
          UserError: the folder does not exist, or holds no run.
        """
        text = self.saved_config()
        if text is None:
            raise UserError(f"{self.path} is not a workdir of tfdgm: there is no {self.config.name} in it")
        return text

    def differences(self, config: str) -> list[str]:
        """The lines in which the run in here and a configuration differ, as a diff; none where there is no run."""
        saved = self.saved_config()
        if saved is None or _fixed(saved) == _fixed(config):
            return []
        changes = difflib.unified_diff(_fixed(saved), _fixed(config), "in the workdir", "asked for", lineterm="", n=0)
        return [line for line in changes if not line.startswith("@@")]

    def prepare(self, config: str) -> None:
        """Makes the folder, and makes sure that it is writable and of this configuration.

        Raises:
          UserError: it is read-only, or holds a run of another configuration.
        """
        changes = self.differences(config)
        if changes:
            raise UserError(
                f"{self.path} holds a run of another configuration; use another --workdir, or leave out what differs "
                "(a run is resumed exactly as it was begun; it cannot be extended):\n  " + "\n  ".join(changes)
            )
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.write("config.gin", config)
        except OSError as error:
            raise UserError(f"the workdir {self.path} cannot be written: {error.strerror or error}") from None

    def write(self, name: str, text: str) -> Path:
        """Writes a text file under a temporary name, then gives it its name."""
        path = self.path / name
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(text)
        os.replace(temporary, path)
        return path

    def write_json(self, name: str, value: Mapping[str, Any]) -> Path:
        return self.write(name, json.dumps(value, indent=2) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object, empty where the file does not exist or is damaged."""
        try:
            value = json.loads((self.path / name).read_text())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the workdir for this process; the system lets go of it when the process ends, however it ends.

        Raises:
          UserError: another process trains in it.
        """
        with open(self.path / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(
                    f"another process trains in {self.path}; use another --workdir or wait for it"
                ) from None
            yield


def _fixed(config: str) -> list[str]:
    """The lines that fix what a run computes."""
    lines = [line.strip() for line in config.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(_FREE_SETTINGS) and not _unread_macro(line, config)]


def _unread_macro(line: str, config: str) -> bool:
    """Whether a line sets a macro that nothing reads: such lines have been in configurations."""
    macro = re.match(r"([\w/]+) = ", line)
    return macro is not None and f"%{macro[1]}" not in config


def describe_run(
    plugins: list[Plugin], seed: int, data: Mapping[str, Any], history: Mapping[str, Any]
) -> dict[str, Any]:
    """What `run.json` says: how this run was first started, by which versions of everything it goes on, and each start.

    Args:
      plugins: those that the run uses.
      seed: of the run.
      data: what its data says of itself.
      history: what `run.json` said before, empty for a new run.
    """
    start = {
        "argv": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "git_commit": _git_commit(),
    }
    starts = [*history.get("starts", []), start]
    return {
        **starts[0],
        "seed": seed,
        "data": dict(data),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _VERSIONS},
        "plugins": {p.gin_name: {"distribution": p.distribution, "version": p.version} for p in plugins},
        "starts": starts,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the current directory's repository, with "-dirty" where files differ from it."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None
