"""Reading the arrays of a `.npz` file that may be damaged: complete arrays, or an error that says why."""

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from tfdgm import UserError

_HOW_TO_MAKE_ONE = "numpy.savez(path, train=rows) writes one"
#: Suffixes of tables.
_TABLES = (".csv", ".tsv", ".parquet", ".pq")
#: Largest compression ratio of deflate; a member that claims more is damaged or malicious.
_DEFLATE_LIMIT = 1032
_READ_AT_ONCE = 1 << 20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
#: Accepted types, in either byte order.
_DTYPES = "integers of 8 to 64 bits, or floating point of 16 to 64 bits"


def load(path: Path, names: tuple[str, ...], needed: str) -> dict[str, np.ndarray]:
    """Load the named arrays that are in the file; uncompressed ones are memory-mapped.

    Sizes are checked before memory is allocated, and checksums before values are used.

    Args:
      path: the file.
      names: names of the arrays.
      needed: the name that must be present.

    Raises:
      UserError: the file is missing, unreadable, damaged or not a `.npz` file; `needed` is absent; an array is not
        numeric.
    """
    with _refusals(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # NumPy warns that it did not write a damaged header
        _check_kind(path)
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if needed not in members:
                raise UserError(
                    f"data.npz: {path} has no array {needed!r}; it has {', '.join(map(repr, members)) or 'none'}"
                )
            return {name: _array(path, archive, members[name], name) for name in names if name in members}


def checksums(path: Path) -> dict[str, int]:
    """Return the CRC-32 of every array by name, as the file's directory holds it: uncompressed, with its header."""
    with _refusals(path), zipfile.ZipFile(path) as archive:
        return {info.filename.removesuffix(".npy"): info.CRC for info in archive.infolist()}


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Turn every exception of zipfile, zlib and NumPy into a `UserError`.

    Damaged bytes reach all their branches (BadZipFile, zlib.error, RuntimeError for "encrypted",
    NotImplementedError for "compression method 99", struct.error, TokenError, ...), so no list of them is complete.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"data.npz: file not found: {path}") from None
    except PermissionError:
        raise UserError(f"data.npz: permission denied: {path}") from None
    except MemoryError:
        raise UserError(
            f"data.npz: the arrays of {path} do not fit in memory; store them uncompressed by numpy.savez, which lets "
            "them be mapped from disk"
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"data.npz: cannot read {path}, which may be damaged: {reason}") from None


def _check_kind(path: Path) -> None:
    path.stat()  # unlike `exists`, it distinguishes a missing file from one without permission
    if path.is_dir():
        raise UserError(f"data.npz: {path} is a folder, not an .npz file; {_HOW_TO_MAKE_ONE}")
    if not path.is_file():  # reading a pipe would block
        raise UserError(f"data.npz: {path} is not a regular file")
    with open(path, "rb") as file:
        beginning = file.read(6)
    if beginning == b"\x93NUMPY":
        raise UserError(f"data.npz: {path} is not an .npz file: it contains a single array; {_HOW_TO_MAKE_ONE}")
    if path.suffix.lower() in _TABLES or beginning.startswith(b"PAR1"):
        raise UserError(f"data.npz: {path} is a table, not an .npz file; data.table reads CSV and Parquet")
    if not beginning.startswith(b"PK"):
        raise UserError(f"data.npz: {path} is not an .npz file; {_HOW_TO_MAKE_ONE}")


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    where = f"data.npz: {path}: the array {name!r}"
    stored = member.compress_type == zipfile.ZIP_STORED
    if not stored and member.file_size > _DEFLATE_LIMIT * (member.compress_size + 1):
        raise UserError(f"{where} is damaged: {member.compress_size} bytes cannot hold the {member.file_size} claimed")
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream, where)
        header = stream.tell()
        size = math.prod(shape) * dtype.itemsize
        if header + size != member.file_size:
            raise UserError(
                f"{where} is damaged: its header claims shape {shape} of {dtype}, {size} bytes, but "
                f"{member.file_size - header} follow it"
            )
        if not stored or size == 0:
            flat = np.empty(size, np.uint8)
            _fill(stream, flat)
        else:
            while stream.read(_READ_AT_ONCE):  # verifies the checksum
                pass
            flat = np.memmap(path, np.uint8, "r", _data_offset(path, member) + header, (size,))
    return flat.view(dtype).reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the header; return shape, whether the order is Fortran's, and dtype. The values follow in the stream."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:  # 3.0 is for field names beyond Latin-1, which numeric arrays lack
        raise UserError(f"{where} has an unsupported header version, {version[0]}.{version[1]}")
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise UserError(f"{where} contains Python objects")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UserError(f"{where} has dtype {dtype}; it must contain {_DTYPES}")
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise UserError(f"{where} is damaged: its header claims shape {shape}")
    return shape, fortran, dtype


def _fill(stream: IO[bytes], flat: np.ndarray) -> None:
    """Read a member to its end, where zipfile verifies its checksum."""
    start = 0
    while piece := stream.read(_READ_AT_ONCE):
        flat[start : start + len(piece)] = np.frombuffer(piece, np.uint8)
        start += len(piece)
    if start != len(flat):
        raise EOFError(f"{len(flat) - start} bytes are missing")


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Return where a stored member begins: after its local header, whose length the directory does not give."""
    with open(path, "rb") as file:
        file.seek(member.header_offset + 26)
        name_length, extra_length = np.frombuffer(file.read(4), "<u2")
    return member.header_offset + 30 + int(name_length) + int(extra_length)
