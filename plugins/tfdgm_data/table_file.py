"""Read a table from a CSV or Parquet file."""

from pathlib import Path
from typing import Any

from tfdgm import UserError

_CSV = {".csv": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")


def read_table(path: Path) -> Any:
    """Return the table as a `pandas.DataFrame`; its columns have different names, which are strings.

    The kind of file is that of its suffix: .csv and .tsv, compressed or not (.csv.gz), and .parquet or .pq.

    Raises:
      UserError: pandas is not installed; the file is missing, damaged, empty or of another kind.
    """
    try:
        import pandas
    except ImportError:
        raise UserError('data.table requires pandas: pip install "tfdgm[tables]"') from None
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    separator = next((_CSV[suffix] for suffix in suffixes if suffix in _CSV), None)
    is_parquet = bool(suffixes) and suffixes[-1] in _PARQUET
    if separator is None and not is_parquet:
        raise UserError(f"data.table: {path} must be a .csv, .tsv, .csv.gz or .parquet file")
    try:
        table = pandas.read_parquet(path) if is_parquet else pandas.read_csv(path, sep=separator, low_memory=False)
    except FileNotFoundError:
        raise UserError(f"data.table: file not found: {path}") from None
    except IsADirectoryError:
        raise UserError(f"data.table: {path} is a folder, not a file") from None
    except PermissionError:
        raise UserError(f"data.table: permission denied: {path}") from None
    except ImportError as error:
        raise UserError(f'data.table: {path} requires more: pip install "tfdgm[tables]" ({error})') from None
    except Exception as error:  # parsers raise many kinds for damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"data.table: cannot read {path}: {reason}") from None
    table.columns = [str(name) for name in table.columns]
    if not len(table) or not len(table.columns):
        raise UserError(f"data.table: {path} has {len(table)} rows and {len(table.columns)} columns")
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise UserError(f"data.table: {path} has more than one column {repeated[0]!r}")
    return table
