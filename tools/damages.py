"""Damages to a file: what a disk, a crash or a stranger may make of it."""

import io
import os
import random
import zipfile
from pathlib import Path

import numpy as np


def truncated(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(1, path.stat().st_size))


def emptied(path: Path, chance: random.Random) -> None:
    os.truncate(path, 0)


def bit_flipped(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def garbage(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(1000))


def missing(path: Path, chance: random.Random) -> None:
    path.unlink()


def encrypted(path: Path, chance: random.Random) -> None:
    """Bit 0 of the flags of every entry in the zip's directory."""
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        content[start + 8] |= 1
        start = content.find(b"PK\x01\x02", start + 4)
    path.write_bytes(content)


def as_pipe(path: Path, chance: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def as_folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def pickled(path: Path, chance: random.Random) -> None:
    np.savez(path.open("wb"), **{"manifest.json": np.array([Path()], dtype=object)}, allow_pickle=True)


def bomb(path: Path, chance: random.Random) -> None:
    """An array that claims to have 2^60 bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 58,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json.npy", header.getvalue())


def of_another_seed(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes().replace(b"experiment.seed = 0", b"experiment.seed = 7"))
    if b"experiment.seed" not in path.read_bytes():
        with path.open("a") as file:
            file.write("experiment.seed = 7\n")
