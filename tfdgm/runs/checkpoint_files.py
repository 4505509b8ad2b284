"""The format of checkpoints: one file each, verified, written atomically, never non-finite.

A checkpoint is a NumPy `.npz` of every variable that moves, by name, with a manifest that holds the step, the
configuration of the run and a SHA-256 of every tensor. There is no state file that could go stale: the directory itself
is the list. Reading runs no code, and takes no more memory than the file has bytes.
"""

import dataclasses
import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfdgm.errors import NonFiniteError
from tfdgm.system.files import open_regular, replacing

FORMAT = 1
_MANIFEST = "manifest.json"
_PATTERN = re.compile(r"step-(\d{10,18})\.npz")


class DamagedCheckpoint(Exception):
    """A file that is not the checkpoint that was written, or cannot be read; the message ends a sentence about it."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What one file holds.

    Attributes:
      step: number of steps made.
      tensors: everything that moves, by name.
      shards: S of the run, which its result depends on.
      score: the value of `experiment.keep_best` at this step, where it was the best so far.
      config: the configuration of the run; None in files of before it was kept.
      callbacks: the state of callbacks, by name.
    """

    step: int
    tensors: Mapping[str, np.ndarray]
    shards: int = 1
    score: float | None = None
    config: str | None = None
    callbacks: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def path_of(directory: Path, step: int) -> Path:
    return directory / f"step-{step:010d}.npz"


def steps_in(directory: Path) -> list[int]:
    """Return the steps that have a file, ascending; whether it is sound is seen when it is read."""
    try:
        matches = [_PATTERN.fullmatch(entry.name) for entry in directory.iterdir()]
    except OSError:
        return []
    return sorted(int(match[1]) for match in matches if match)


def newest_sound(directory: Path) -> tuple[Checkpoint | None, dict[int, str]]:
    """Return the newest checkpoint that is sound, and by step what is wrong with those that are newer.

    With no sound one, what is wrong with each; with no file at all, nothing.
    """
    problems: dict[int, str] = {}
    for step in reversed(steps_in(directory)):
        try:
            return read(path_of(directory, step)), problems
        except DamagedCheckpoint as error:
            problems[step] = str(error)
    return None, problems


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint file that survives a power cut.

    Raises:
      NonFiniteError: a tensor holds NaN or infinity; nothing is written.
      OSError: the disk is full or read-only; a file of that name stays as it was.
    """
    for name, tensor in checkpoint.tensors.items():
        if not np.all(np.isfinite(tensor)):
            raise NonFiniteError(f"{name} is not finite at step {checkpoint.step}; the checkpoint was not written")
    manifest = {
        "format": FORMAT,
        "step": checkpoint.step,
        "shards": checkpoint.shards,
        "score": checkpoint.score,
        "config": checkpoint.config,
        "callbacks": checkpoint.callbacks,
        "sha256": {name: digest(tensor) for name, tensor in checkpoint.tensors.items()},
    }
    text = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    with replacing(path, durable=True) as file:
        arrays: dict[str, Any] = {_MANIFEST: text, **checkpoint.tensors}
        np.savez(file, **arrays)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint file and check every byte that matters.

    Raises:
      DamagedCheckpoint: it is truncated, altered, of an unknown format, not a file, or may not be read.
    """
    try:
        with open_regular(path) as file:
            _check_sizes(file)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        manifest = json.loads(arrays.pop(_MANIFEST).tobytes())
        expected, version, step = manifest["sha256"], manifest["format"], int(manifest["step"])
        shards, score, config = int(manifest.get("shards", 1)), manifest.get("score"), manifest.get("config")
        sound = isinstance(score, (int, float, type(None))) and isinstance(config, (str, type(None)))
        callbacks = manifest.get("callbacks", {})
        sound = sound and step >= 0 and shards >= 1 and isinstance(callbacks, dict)
    except OSError as error:
        raise DamagedCheckpoint(f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # whatever zip, NumPy and JSON make of bytes that are not theirs
        raise DamagedCheckpoint("is truncated or altered") from error
    if not sound:
        raise DamagedCheckpoint("is truncated or altered")
    if version != FORMAT:
        raise DamagedCheckpoint(f"has format {version}; this version reads {FORMAT}")
    if not isinstance(expected, dict) or set(expected) != set(arrays):
        raise DamagedCheckpoint("does not hold the tensors that its manifest lists")
    for name, tensor in arrays.items():
        if digest(tensor) != expected[name]:
            raise DamagedCheckpoint(f"the checksum of {name} does not match")
    return Checkpoint(step, arrays, shards, score, config, callbacks)


def _check_sizes(file: BinaryIO) -> None:
    """Refuse an archive whose members claim more than the file holds: they would be allocated before they are read."""
    size = file.seek(0, 2)
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("a member is compressed")
        if sum(member.file_size for member in members) > size:
            raise ValueError("the members are larger than the file")
        for member in members:
            if member.filename.endswith(".npy"):
                with archive.open(member) as stream:
                    _check_header(stream, member.file_size)
    file.seek(0)


def _check_header(stream: Any, size: int) -> None:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {version}")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    count = 1
    for side in shape:
        count *= side  # Python's integers do not overflow
    if dtype.hasobject or stream.tell() + count * dtype.itemsize != size:
        raise ValueError("the array is not as large as its header says")


def digest(tensor: np.ndarray) -> str:
    """Return the SHA-256 over dtype, shape and bytes."""
    header = f"{tensor.dtype.str}{tensor.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(tensor).tobytes()).hexdigest()
