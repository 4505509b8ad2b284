"""What a matrix leaves for reading, written after every cell: `matrix.csv`, `matrix.md` and `index.html`."""

import dataclasses
from collections.abc import Collection, Iterable

from tfdgm.errors import UserError
from tfdgm.studies.cells import Cell
from tfdgm.studies.exit_status import RUNNING
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.study_page import page
from tfdgm.studies.table import csv_text, markdown


def write_outputs(folder: Folder, results: Iterable[Result], running: Collection[Cell] = ()) -> None:
    """Writes the record first, so that the others never tell of what would be forgotten.

    Args:
      folder: of the matrix.
      results: of all its cells.
      running: those that a process trains now.

    Raises:
      UserError: the folder cannot be written.
    """
    results = list(results)
    try:
        folder.write_results(results)
        folder.write("matrix.csv", csv_text(results))
        folder.write("matrix.md", markdown(results))
        told = [dataclasses.replace(r, status=RUNNING, reason="") if r.cell in running else r for r in results]
        folder.write("index.html", page(folder, told))
    except OSError as error:
        raise UserError(f"the tables could not be written to {folder.path}: {error.strerror or error}") from None
