"""Execute the notebooks of docs/notebooks and store their outputs: `python tools/notebooks.py [NAME.ipynb ...]`."""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
#: What differs from machine to machine in the metadata, and what front ends add.
_TRANSIENT = ("execution", "widgets", "language_info")


def executed(path: Path, timeout: int = 600) -> Any:
    """Return a notebook with the outputs of its cells, executed in an empty folder.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell raised an exception that its tags do not announce.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": folder}}).execute(env=environment)
    for part in (notebook, *notebook.cells):
        for name in _TRANSIENT:
            part.metadata.pop(name, None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                output.traceback = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in output.traceback]
    return notebook


def main(names: list[str]) -> None:
    """Execute and store the named notebooks, by default all."""
    import nbformat

    for path in [FOLDER / name for name in names] or sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(executed(path), path)
        print(f"executed {path.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
