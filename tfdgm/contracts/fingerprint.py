"""Fingerprints of data: JSON values that identify examples, wherever they are stored, at the cost of a sample."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np

#: Annotates a parameter that names a file or folder of the user. A relative path in a config is looked up beside the
#: config file that sets it, then in the current folder, and recorded as an absolute one.
FilePath: TypeAlias = Annotated[str, "a file or folder"]

#: Number of files whose content is read, and number of bytes at the beginning and at the end of each.
_FILES, _FILE_BYTES = 64, 1 << 16


def fingerprint_rows(
    size: int,
    positions: np.ndarray,
    gather: Callable[[np.ndarray], np.ndarray],
    conditions: Callable[[np.ndarray], np.ndarray] | None,
) -> dict[str, Any]:
    """Return the fingerprint of the rows of a split.

    Args:
      size: number of rows.
      positions: of the rows whose content is read.
      gather: rows at these positions.
      conditions: y at these positions; None if there are none.

    Returns:
      `examples`, `shape` and `dtype` of a row, a digest of their `content`, and one of the `conditions`, if any.
    """
    rows = np.asarray(gather(positions))
    found = {"examples": size, "shape": list(rows.shape[1:]), "dtype": rows.dtype.str[1:], "content": _digest(rows)}
    return found if conditions is None else {**found, "conditions": _digest(np.asarray(conditions(positions)))}


def fingerprint_files(files: Sequence[Path]) -> dict[str, Any]:
    """Return the fingerprint of files: of names and sizes of all, and of the beginnings and ends of up to 64 of them.

    Names are relative to their common folder, and times do not count, so that a copy has the same fingerprint.

    Args:
      files: in order; at least one.

    Returns:
      `examples`, their number; digests of their `names`, `sizes` and `content`.

    Raises:
      OSError: a file cannot be read.
    """
    root = os.path.commonpath([file.parent for file in files])
    content = hashlib.blake2b(digest_size=16)
    for path in files[:: -(-len(files) // _FILES)]:
        with open(path, "rb") as file:
            content.update(file.read(_FILE_BYTES))
            file.seek(max(file.tell(), file.seek(0, os.SEEK_END) - _FILE_BYTES))
            content.update(file.read())
    return {
        "examples": len(files),
        "names": _digest_lines(Path(file).relative_to(root).as_posix() for file in files),
        "sizes": _digest_lines(str(file.stat().st_size) for file in files),
        "content": content.hexdigest(),
    }


def _digest(array: np.ndarray) -> str:
    """Return the digest of the values of an array, in an order of bytes that is the same on every machine."""
    values = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.blake2b(values.tobytes(), digest_size=16).hexdigest()


def _digest_lines(lines: Iterable[str]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for line in lines:
        total.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return total.hexdigest()
