"""The arrays that a caller gives as data, and the file in the workdir that keeps them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfdgm.configuration.config_files import Packaged
from tfdgm.errors import UserError, did_you_mean
from tfdgm.runs.placed import WORKDIR
from tfdgm.system.files import replacing

_SPLITS = ("train", "validation", "test")
#: The file of the arrays in a workdir.
FILE = "data.npz"
#: The statements by which a config reads it.
BINDINGS = f'experiment.data = @data.npz()\ndata.npz.path = "{WORKDIR}/{FILE}"'


def as_array(value: Any, name: str) -> np.ndarray:
    """Return a numeric array of anything that NumPy converts to one; booleans become float32.

    Raises:
      UserError: it is not numeric, or has no axis of examples.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise UserError(f"{name} is not an array: {error}") from None
    if array.dtype == bool:
        return array.astype(np.float32)
    if array.dtype.kind not in "iuf":
        raise UserError(f"{name} must be numbers, got an array of dtype {array.dtype}; encode categories as numbers")
    if array.ndim == 0:
        raise UserError(f"{name} must have shape [examples, ...], got a single number")
    return array


def given_splits(data: Any, labels: Any = None) -> dict[str, np.ndarray]:
    """Return the arrays of the splits, and those of their labels, by the names that `data.npz` reads.

    Args:
      data: an array `[n, ...]`, which is divided; or a dict or tuple of splits.
      labels: in the same form.

    Raises:
      UserError: a split is unknown or missing, or an array is not numeric.
    """
    splits, of_labels = _by_split("data", data), None if labels is None else _by_split("labels", labels)
    if of_labels is not None and set(of_labels) != set(splits):
        raise UserError(f"labels have the form {_form(of_labels)}, but data has {_form(splits)}; both must be the same")
    arrays = {name: as_array(rows, f"data[{name!r}]" if name else "data") for name, rows in splits.items()}
    for name, rows in (of_labels or {}).items():
        arrays[f"{name}_labels"] = as_array(rows, f"labels[{name!r}]" if name else "labels")
    return _divided(arrays) if "" in arrays else arrays


def _by_split(what: str, given: Any) -> dict[str, Any]:
    """Return the splits by name; one array that is still to be divided has an empty name."""
    if isinstance(given, Mapping):
        for name in given:
            if name not in _SPLITS:
                raise UserError(f"{what} has no split {name!r}. {did_you_mean(str(name), _SPLITS)}")
        if "train" not in given:
            raise UserError(f"{what} has no split 'train'; it has {', '.join(map(repr, given)) or 'none'}")
        return dict(given)
    if isinstance(given, tuple):
        if len(given) not in (2, 3):
            raise UserError(
                f"{what} is a tuple of {len(given)}; a tuple is (train, test) or (train, validation, test), and rows "
                "are an array or a list"
            )
        return dict(zip(_SPLITS if len(given) == 3 else ("train", "test"), given, strict=True))
    return {"": given}


def _form(splits: Mapping[str, Any]) -> str:
    return "of one array" if "" in splits else f"of the splits {', '.join(splits)}"


def _divided(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Divide rows into 80 % training, 10 % validation and 10 % test, by a fixed permutation of their number."""
    count = len(arrays[""])
    part = count // 10
    order = np.random.RandomState(0).permutation(count)
    positions = dict(zip(_SPLITS, np.split(order, [count - 2 * part, count - part]), strict=True))
    divided: dict[str, np.ndarray] = {}
    for suffix, rows in arrays.items():
        if len(rows) != count:
            raise UserError(f"labels have {len(rows)} rows, but data has {count}")
        divided |= {f"{split}{suffix}": rows[at] for split, at in positions.items() if len(at)}
    return divided


def fitting_config(arrays: Mapping[str, np.ndarray]) -> Packaged:
    """Return the packaged config whose likelihood fits the values: zeros and ones, grey levels, or real numbers."""
    values = [rows for name, rows in arrays.items() if name in _SPLITS]
    if all(rows.dtype.kind in "iu" for rows in values):
        return Packaged("arrays/levels.gin")
    if all(bool(np.all((rows == 0) | (rows == 1))) for rows in values):
        return Packaged("arrays/binary.gin")
    return Packaged("arrays/reals.gin")


def keep_arrays(folder: Path, arrays: Mapping[str, np.ndarray], begun: bool) -> None:
    """Write the arrays into a workdir, or check that a run that has begun there has the same.

    Raises:
      UserError: the run has other data.
    """
    path = folder / FILE
    if not begun:
        with replacing(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return
    different = _different(path, arrays)
    if different:
        raise UserError(f"{folder} holds a run on other data ({different}); use another workdir")


def _different(path: Path, arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return what differs between a file and arrays; None if nothing does."""
    if not path.exists():
        return f"it has no {FILE}"
    try:
        with np.load(path, allow_pickle=False) as kept:
            if set(kept.files) != set(arrays):
                return f"its arrays are {', '.join(sorted(kept.files))}, those given {', '.join(sorted(arrays))}"
            for name, rows in arrays.items():
                if kept[name].dtype != rows.dtype or not np.array_equal(
                    kept[name], rows, equal_nan=rows.dtype.kind == "f"
                ):
                    return f"{name!r} differs"
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return f"{path} cannot be read: {error}"
    return None
