"""The IDX files of MNIST, and of data sets in its place (LeCun, Cortes and Burges 1998)."""

import gzip
import math
from pathlib import Path

import numpy as np

#: What a folder of these has, with or without the suffix `.gz`.
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def read_idx_folder(folder: Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return (images, labels) of the training and of the test examples.

    Raises:
      OSError: a file is missing or cannot be read.
      ValueError: a file is damaged.
    """
    train, train_labels, test, test_labels = (_read(folder, name) for name in FILES)
    return (train, train_labels), (test, test_labels)


def _read(folder: Path, name: str) -> np.ndarray:
    """Read one file: two zeros, the code of the type, the number of axes, their lengths, then the values."""
    packed = folder / f"{name}.gz"
    file = packed if packed.exists() else folder / name
    content = gzip.decompress(file.read_bytes()) if file == packed else file.read_bytes()
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{file.name} is not an IDX file of bytes")
    axes = content[3]
    start = 4 + 4 * axes
    shape = tuple(int(length) for length in np.frombuffer(content[4:start], ">u4"))
    if len(shape) != axes or math.prod(shape) != len(content) - start:
        raise ValueError(f"{file.name} is damaged: {len(content) - start} bytes cannot be values of shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
