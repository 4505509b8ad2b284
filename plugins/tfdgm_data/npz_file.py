"""Reading the arrays of a `.npz` file that may be damaged: whole, or refused with the reason."""

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from tfdgm import UserError

_HOW_TO_MAKE_ONE = "numpy.savez(path, train=rows) makes one"
#: Deflate packs at most so many bytes into one; a member that claims more is damaged, or a bomb.
_DEFLATE_LIMIT = 1032
_READ_AT_ONCE = 1 << 20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
#: What TensorFlow computes with, of either byte order.
_DTYPES = "integers of 8 to 64 bits, or floating point of 16 to 64 bits"


def load(path: Path, names: tuple[str, ...], needed: str) -> dict[str, np.ndarray]:
    """The arrays of these names that the file has; ones stored without compression are mapped from disk, not read.

    Sizes are checked before memory is taken, and the archive's checksums before values are used.

    Args:
      path: the file.
      names: of the arrays.
      needed: the name that has to be there.

    Raises:
      UserError: the file is missing, unreadable, damaged or no `.npz` file; `needed` is absent; an array does not hold
        numbers.
    """
    with _refusals(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of NumPy, that damaged headers were not written by it
        _check_kind(path)
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if needed not in members:
                raise UserError(
                    f"data.npz: {path} has no array {needed!r}; it has {', '.join(map(repr, members)) or 'none'}"
                )
            return {name: _array(path, archive, members[name], name) for name in names if name in members}


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Turns whatever a file can make zipfile, zlib and NumPy raise into one `UserError`.

    Damaged bytes reach each of their branches (BadZipFile, zlib.error, RuntimeError for "encrypted",
    NotImplementedError for "compression method 99", struct.error, TokenError, ...), so no list of them is complete.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"data.npz: there is no file {path}") from None
    except PermissionError:
        raise UserError(f"data.npz: permission denied: {path}") from None
    except MemoryError:
        raise UserError(
            f"data.npz: the arrays of {path} do not fit in memory; numpy.savez stores them without compression, and "
            "then they are mapped from disk"
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"data.npz: {path} cannot be read, it may be damaged: {reason}") from None


def _check_kind(path: Path) -> None:
    path.stat()  # unlike `exists`, it tells a missing file from one that may not be seen
    if path.is_dir():
        raise UserError(f"data.npz: {path} is a folder, not an .npz file; {_HOW_TO_MAKE_ONE}")
    if not path.is_file():  # reading a pipe would wait for ever
        raise UserError(f"data.npz: {path} is not a regular file")
    with open(path, "rb") as file:
        beginning = file.read(6)
    if beginning == b"\x93NUMPY":
        raise UserError(f"data.npz: {path} is not an .npz file: it holds a single array; {_HOW_TO_MAKE_ONE}")
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
            while stream.read(_READ_AT_ONCE):  # which compares the checksum
                pass
            flat = np.memmap(path, np.uint8, "r", _data_offset(path, member) + header, (size,))
    return flat.view(dtype).reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the array is in Fortran order, and dtype; the stream then stands at the values."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:  # 3.0 is for names of fields beyond Latin-1, and numbers have none
        raise UserError(f"{where} has a header of version {version[0]}.{version[1]}, which numbers do not need")
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise UserError(f"{where} holds Python objects")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UserError(f"{where} has dtype {dtype}; it must hold {_DTYPES}")
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise UserError(f"{where} is damaged: its header claims shape {shape}")
    return shape, fortran, dtype


def _fill(stream: IO[bytes], flat: np.ndarray) -> None:
    """Reads a member to its end, where its checksum is compared."""
    start = 0
    while piece := stream.read(_READ_AT_ONCE):
        flat[start : start + len(piece)] = np.frombuffer(piece, np.uint8)
        start += len(piece)
    if start != len(flat):
        raise EOFError(f"{len(flat) - start} bytes are missing")


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where a stored member begins in the file: behind a header of its own, whose lengths the directory lacks."""
    with open(path, "rb") as file:
        file.seek(member.header_offset + 26)
        name_length, extra_length = np.frombuffer(file.read(4), "<u2")
    return member.header_offset + 30 + int(name_length) + int(extra_length)
