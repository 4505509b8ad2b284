"""Write the reports of a study after every cell: its tables as CSV and Markdown, and `index.html`."""

import dataclasses
from collections.abc import Collection, Iterable

from tfdgm.errors import UserError
from tfdgm.studies.cells import Cell
from tfdgm.studies.exit_status import RUNNING
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.study_page import page
from tfdgm.studies.table import csv_text, markdown


def write_reports(folder: Folder, results: Iterable[Result], running: Collection[Cell] = ()) -> None:
    """Write the record, then the reports, so that no report shows a result that is not recorded.

    Args:
      folder: of the study.
      results: of all cells.
      running: the cells that are being trained.

    Raises:
      UserError: the folder cannot be written.
    """
    results = list(results)
    try:
        folder.write_results(results)
        quantities = folder.quantities(results)
        folder.write(f"{folder.kind.name}.csv", csv_text(results, quantities))
        folder.write(f"{folder.kind.name}.md", markdown(results, quantities))
        shown = [dataclasses.replace(r, status=RUNNING, reason="") if r.cell in running else r for r in results]
        folder.write("index.html", page(folder, shown, quantities))
    except OSError as error:
        raise UserError(f"the reports could not be written to {folder.path}: {error.strerror or error}") from None
