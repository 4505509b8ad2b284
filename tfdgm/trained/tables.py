"""Draws as a table, with the columns, units and categories of the data."""

from pathlib import Path

import numpy as np

from tfdgm.contracts.specs import DataSpec
from tfdgm.errors import UserError
from tfdgm.system.files import replacing

#: Suffixes of the files that `save_table` writes.
TABLE_SUFFIXES = (".csv", ".parquet")


def check_table(path: Path, spec: DataSpec) -> None:
    """Check that a table of examples can be written.

    Raises:
      UserError: the examples are no rows of a table, nor vectors; or a package is missing.
    """
    if spec.table is None and len(spec.shape) != 1:
        raise UserError(f"examples of shape {spec.shape} are no rows of a table; write an .npz file instead")
    try:
        import pandas  # noqa: F401

        if path.suffix == ".parquet":
            import pyarrow  # noqa: F401
    except ImportError as error:
        raise UserError(f'{path.name} requires {error.name}: pip install "tfdgm[tables]"') from None


def save_table(path: Path, x: np.ndarray, spec: DataSpec) -> None:
    """Write a CSV or Parquet file of examples; replaces an existing file once complete.

    Args:
      path: the file.
      x: `[rows, *spec.shape]`.
      spec: of the examples; vectors without names become columns x0, x1, ...
    """
    import pandas

    if spec.table is not None:
        columns = spec.table.restore(x)
    else:
        columns = {f"x{place}": values for place, values in enumerate(spec.restore(x).T)}
    table = pandas.DataFrame(columns)
    with replacing(path) as file:
        if path.suffix == ".csv":
            table.to_csv(file, index=False)
        else:
            table.to_parquet(file, index=False)
