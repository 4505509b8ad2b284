"""The format of checkpoints: one file each, checksummed, written atomically, always finite.

A checkpoint is a NumPy `.npz` of every mutable variable by name, with a manifest of the step, the configuration of the
run and the SHA-256 of every tensor. The directory itself is the list of checkpoints, so that no index can become stale.
Reading executes no code, and takes no more memory than the size of the file.
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
from tfdgm.runs.data_identity import DataIdentity
from tfdgm.system.files import open_regular, replacing

FORMAT = 1
_MANIFEST = "manifest.json"
_PATTERN = re.compile(r"step-(\d{10,18})\.npz")


class DamagedCheckpoint(Exception):
    """A checkpoint file is altered or unreadable; the message completes a sentence that begins with its name."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The content of one checkpoint file.

    Attributes:
      step: number of steps taken.
      tensors: every mutable variable, by name.
      shards: S of the run, on which its result depends.
      score: the value of `experiment.keep_best` at this step, if it was the best so far.
      config: the configuration of the run; None in files of versions that did not store it.
      callbacks: the state of callbacks, by name.
      data: the data of the run; None in files of versions that did not record it.
    """

    step: int
    tensors: Mapping[str, np.ndarray]
    shards: int = 1
    score: float | None = None
    config: str | None = None
    callbacks: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: DataIdentity | None = None


def path_of(directory: Path, step: int) -> Path:
    """Return the path of the checkpoint of a step."""
    return directory / f"step-{step:010d}.npz"


def steps_in(directory: Path) -> list[int]:
    """Return the steps that have a file, in ascending order, without reading the files."""
    try:
        matches = [_PATTERN.fullmatch(entry.name) for entry in directory.iterdir()]
    except OSError:
        return []
    return sorted(int(match[1]) for match in matches if match)


def newest_intact(directory: Path) -> tuple[Checkpoint | None, dict[int, str]]:
    """Return the newest intact checkpoint, or None, and the problems of all newer ones by step."""
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
        "data": None if checkpoint.data is None else checkpoint.data.plain(),
        "sha256": {name: digest(tensor) for name, tensor in checkpoint.tensors.items()},
    }
    text = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    with replacing(path, durable=True) as file:
        arrays: dict[str, Any] = {_MANIFEST: text, **checkpoint.tensors}
        np.savez(file, **arrays)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint file and verify its checksums.

    Raises:
      DamagedCheckpoint: it is truncated, altered, of an unknown format, not a file, or unreadable.
    """
    try:
        with open_regular(path) as file:
            _check_sizes(file)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        manifest = json.loads(arrays.pop(_MANIFEST).tobytes())
        expected, version, step = manifest["sha256"], manifest["format"], int(manifest["step"])
        shards, score, config = int(manifest.get("shards", 1)), manifest.get("score"), manifest.get("config")
        valid = isinstance(score, (int, float, type(None))) and isinstance(config, (str, type(None)))
        callbacks = manifest.get("callbacks", {})
        data = None if manifest.get("data") is None else DataIdentity.parsed(manifest["data"])
        valid = valid and step >= 0 and shards >= 1 and isinstance(callbacks, dict)
    except OSError as error:
        raise DamagedCheckpoint(f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # zip, NumPy and JSON raise many kinds of errors for altered bytes
        raise DamagedCheckpoint("is truncated or altered") from error
    if not valid:
        raise DamagedCheckpoint("is truncated or altered")
    if version != FORMAT:
        raise DamagedCheckpoint(f"has format {version}; this version reads {FORMAT}")
    if not isinstance(expected, dict) or set(expected) != set(arrays):
        raise DamagedCheckpoint("does not hold the tensors that its manifest lists")
    for name, tensor in arrays.items():
        if digest(tensor) != expected[name]:
            raise DamagedCheckpoint(f"the checksum of {name} does not match")
    return Checkpoint(step, arrays, shards, score, config, callbacks, data)


def _check_sizes(file: BinaryIO) -> None:
    """Refuse an archive whose members claim to be larger than the file, since memory is allocated before reading."""
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
    """Refuse an array whose header does not match the size of its member."""
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
