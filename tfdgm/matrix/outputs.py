"""What a matrix leaves for reading, written after every cell: `matrix.csv`, `matrix.md` and `index.html`."""

from collections.abc import Iterable

from tfdgm.errors import UserError
from tfdgm.matrix.folder import Folder, Result
from tfdgm.matrix.page import page
from tfdgm.matrix.table import csv_text, markdown


def write_outputs(folder: Folder, results: Iterable[Result]) -> None:
    """Writes the record first, so that the others never tell of what would be forgotten.

    Raises:
      UserError: the folder cannot be written.
    """
    results = list(results)
    try:
        folder.write_results(results)
        folder.write("matrix.csv", csv_text(results))
        folder.write("matrix.md", markdown(results))
        folder.write("index.html", page(folder, results))
    except OSError as error:
        raise UserError(f"the tables could not be written to {folder.path}: {error.strerror or error}") from None
