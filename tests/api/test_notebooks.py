"""The notebooks of the documentation run, and their stored outputs are those of the present cells."""

import re
import runpy
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def kinds(notebook):
    """The kinds of the outputs of each cell, by its source; consecutive lines of one stream are one output."""
    return {
        cell.source: [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_makes_the_kinds_of_outputs_that_it_stores(path):
    pytest.importorskip("nbclient")
    executed = runpy.run_path(str(ROOT / "tools" / "notebooks.py"))["executed"](path)
    assert kinds(executed) == kinds(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_has_outputs_and_names_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert sum(bool(outputs) for outputs in kinds(notebook).values()) >= 6
    text = re.sub(r'"image/png": "[^"]*"', "", path.read_text(encoding="utf-8"))
    assert not re.search(r"/(tmp|home|root|work|Users|usr|var)\b|0x[0-9a-f]{8}", text)
    assert path.stat().st_size < 300_000
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.get("name") != "stderr", output.text
            assert output.output_type != "error" or "raises-exception" in cell.metadata.tags
