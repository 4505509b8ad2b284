"""Checkpoints: one file each, verified, written atomically, never non-finite.

A checkpoint is a NumPy `.npz` of every variable that moves, by name, with a manifest that holds the step and a SHA-256
of every tensor. There is no state file that could go stale: the directory itself is the list. Loading runs no code
(`allow_pickle=False`).
"""

import dataclasses
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfdgm.errors import NonFiniteError, UserError

FORMAT = 1
_MANIFEST = "manifest.json"
_PATTERN = re.compile(r"step-(\d{10,})\.npz")


class DamagedCheckpoint(Exception):
    """A file that is not the checkpoint that was written."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    step: int
    tensors: dict[str, np.ndarray]


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, directory: Path, keep: int = 3, warn: Callable[[str], None] = print) -> None:
        self.directory = directory
        self.keep = keep
        self.warn = warn

    def steps(self) -> list[int]:
        """Steps that have a file, ascending; whether it is sound is seen when it is read."""
        if not self.directory.is_dir():
            return []
        matches = (_PATTERN.fullmatch(entry.name) for entry in self.directory.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def path(self, step: int) -> Path:
        return self.directory / f"step-{step:010d}.npz"

    def save(self, step: int, tensors: Mapping[str, np.ndarray]) -> Path:
        """Writes one checkpoint and drops the oldest beyond `keep`.

        Raises:
          NonFiniteError: a tensor holds NaN or infinity; nothing is written.
          OSError: the disk is full or read-only; older checkpoints stay as they are.
        """
        for name, tensor in tensors.items():
            if not np.all(np.isfinite(tensor)):
                raise NonFiniteError(f"{name} is not finite at step {step}; the checkpoint was not written")
        self.directory.mkdir(parents=True, exist_ok=True)
        write(self.path(step), step, tensors)
        for old in self.steps()[: -self.keep]:
            self.path(old).unlink(missing_ok=True)
        return self.path(step)

    def latest(self) -> Checkpoint | None:
        """The newest sound checkpoint, or None where there is no checkpoint at all.

        Raises:
          UserError: there are checkpoints, and every one is damaged.
        """
        steps = self.steps()
        problems = []
        for step in reversed(steps):
            try:
                checkpoint = read(self.path(step))
            except DamagedCheckpoint as error:
                problems.append(f"{self.path(step).name}: {error}")
                continue
            for problem in problems:
                self.warn(f"warning: damaged checkpoint passed over: {problem}")
            if problems:
                self.warn(f"warning: going on from step {step}, the newest sound checkpoint")
            return checkpoint
        if problems:
            raise UserError(
                f"every checkpoint in {self.directory} is damaged: {'; '.join(problems)}. "
                "Restore one from a copy, or start again in another workdir"
            )
        return None

    def clean(self) -> None:
        """Removes what a write that was cut off left behind."""
        if self.directory.is_dir():
            for left in self.directory.glob("*.tmp"):
                left.unlink(missing_ok=True)


def write(path: Path, step: int, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint file under a temporary name, flushes it to the disk, then gives it its name."""
    manifest = {"format": FORMAT, "step": step, "sha256": {name: digest(t) for name, t in tensors.items()}}
    text = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    temporary = path.with_suffix(".tmp")
    try:
        with open(temporary, "wb") as file:
            arrays: dict[str, Any] = {_MANIFEST: text, **tensors}
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint file and checks every byte that matters.

    Raises:
      DamagedCheckpoint: it is truncated, altered, or of an unknown format.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        manifest = json.loads(arrays.pop(_MANIFEST).tobytes())
        expected, version, step = manifest["sha256"], manifest["format"], int(manifest["step"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DamagedCheckpoint("is truncated or altered") from error
    if version != FORMAT:
        raise DamagedCheckpoint(f"has format {version}; this version reads {FORMAT}")
    if set(expected) != set(arrays):
        raise DamagedCheckpoint("does not hold the tensors that its manifest lists")
    for name, tensor in arrays.items():
        if digest(tensor) != expected[name]:
            raise DamagedCheckpoint(f"the checksum of {name} does not match")
    return Checkpoint(step, arrays)


def digest(tensor: np.ndarray) -> str:
    """SHA-256 over dtype, shape and bytes."""
    header = f"{tensor.dtype.str}{tensor.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(tensor).tobytes()).hexdigest()


def sync_directory(directory: Path) -> None:
    """Makes a rename in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
