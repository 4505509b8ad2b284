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
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tfdgm.errors import NonFiniteError, UserError

FORMAT = 1
_MANIFEST = "manifest.json"
_BEST = "best.npz"
_PATTERN = re.compile(r"step-(\d{10,})\.npz")


class DamagedCheckpoint(Exception):
    """A file that is not the checkpoint that was written."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What one file holds.

    Attributes:
      step: number of steps made.
      tensors: everything that moves, by name.
      shards: S of the run, which its result depends on.
      score: the value of `experiment.keep_best` at this step, where it was the best so far.
    """

    step: int
    tensors: Mapping[str, np.ndarray]
    shards: int = 1
    score: float | None = None


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, directory: Path, keep: int = 3, warn: Callable[[str], None] = print) -> None:
        self.directory = directory
        self.keep = keep
        self.warn = warn
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._pending: tuple[int, Future] | None = None

    def steps(self) -> list[int]:
        """Steps that have a file, ascending; whether it is sound is seen when it is read."""
        if not self.directory.is_dir():
            return []
        matches = (_PATTERN.fullmatch(entry.name) for entry in self.directory.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def path(self, step: int) -> Path:
        return self.directory / f"step-{step:010d}.npz"

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes one checkpoint, also as the best where it has a score, and drops the oldest beyond `keep`.

        Raises:
          NonFiniteError: a tensor holds NaN or infinity; nothing is written.
          OSError: the disk is full or read-only; older checkpoints stay as they are.
        """
        for name, tensor in checkpoint.tensors.items():
            if not np.all(np.isfinite(tensor)):
                raise NonFiniteError(f"{name} is not finite at step {checkpoint.step}; the checkpoint was not written")
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.path(checkpoint.step)
        write(path, checkpoint)
        if checkpoint.score is not None:
            write(self.directory / _BEST, checkpoint)
        for old in self.steps()[: -self.keep]:
            self.path(old).unlink(missing_ok=True)
        return path

    def save_later(self, checkpoint: Checkpoint) -> None:
        """The same in another thread, once the last one is written; what that raised comes now, as by `wait`."""
        self.wait()
        self._pending = (checkpoint.step, self._writer.submit(self.save, checkpoint))

    def wait(self) -> None:
        """Until what `save_later` took is on the disk.

        Raises:
          UserError: it could not be written; says what is kept.
        """
        if self._pending is None:
            return
        (step, written), self._pending = self._pending, None
        try:
            written.result()
        except OSError as error:
            good = self.steps()
            kept = f"the checkpoint of step {good[-1]} is kept" if good else "there is no earlier one"
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.directory}: "
                f"{error.strerror or error}; {kept}"
            ) from None

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

    def drop_newest(self) -> None:
        """Forgets the newest one, unless it is the only one."""
        self.wait()
        steps = self.steps()
        if len(steps) > 1:
            self.path(steps[-1]).unlink(missing_ok=True)

    def at(self, step: int) -> Checkpoint:
        """The checkpoint of one step.

        Raises:
          UserError: there is none, or it is damaged.
        """
        try:
            return read(self.path(step))
        except DamagedCheckpoint as error:
            there = self.path(step).exists()
            raise UserError(f"{self.path(step)} {error if there else 'is not there'}") from None

    def named(self, name: str) -> Checkpoint:
        """ "latest", "best", or a step.

        Raises:
          UserError: there is none of that name.
        """
        if name not in ("latest", "best") and not name.isdecimal():
            raise UserError(f"a checkpoint is latest, best, or the number of a step; got {name!r}")
        if name.isdecimal():
            if int(name) not in self.steps():
                kept = ", ".join(map(str, self.steps())) or "none"
                raise UserError(f"there is no checkpoint of step {name} in {self.directory}; kept are: {kept}")
            return self.at(int(name))
        found = self.latest() if name == "latest" else self.best()
        if found is None:
            reason = "train first" if name == "latest" else "experiment.keep_best keeps one"
            raise UserError(f"there is no {name} checkpoint in {self.directory}; {reason}")
        return found

    def best(self) -> Checkpoint | None:
        """The one of the best score so far; None where there is none, or where it is damaged, which costs a warning."""
        if not (self.directory / _BEST).exists():
            return None
        try:
            return read(self.directory / _BEST)
        except DamagedCheckpoint as error:
            self.warn(f"warning: {_BEST}: {error}; the best is looked for anew")
            return None

    def clean(self) -> None:
        """Removes what a write that was cut off left behind."""
        if self.directory.is_dir():
            for left in self.directory.glob("*.tmp"):
                left.unlink(missing_ok=True)


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint file under a temporary name, flushes it to the disk, then gives it its name."""
    manifest = {
        "format": FORMAT,
        "step": checkpoint.step,
        "shards": checkpoint.shards,
        "score": checkpoint.score,
        "sha256": {name: digest(tensor) for name, tensor in checkpoint.tensors.items()},
    }
    text = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    temporary = path.with_suffix(".tmp")
    try:
        with open(temporary, "wb") as file:
            arrays: dict[str, Any] = {_MANIFEST: text, **checkpoint.tensors}
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
        shards, score = int(manifest.get("shards", 1)), manifest.get("score")
    except (OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DamagedCheckpoint("is truncated or altered") from error
    if version != FORMAT:
        raise DamagedCheckpoint(f"has format {version}; this version reads {FORMAT}")
    if set(expected) != set(arrays):
        raise DamagedCheckpoint("does not hold the tensors that its manifest lists")
    for name, tensor in arrays.items():
        if digest(tensor) != expected[name]:
            raise DamagedCheckpoint(f"the checksum of {name} does not match")
    return Checkpoint(step, arrays, shards, score)


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
