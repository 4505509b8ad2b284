"""All performance figures in one run of tools/bench, at sizes that only show that it works."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "tools" / "bench"
#: Every part, by what is quick in it: all of them would take minutes.
ONLY = "mixture,starting,batch,scale"


def bench(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BENCH), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900)


def numbers(node: object, path: str = ""):
    """All numbers of a JSON object, with their places."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from numbers(value, f"{path}/{name}")
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, node


@pytest.mark.slow
def test_a_quick_run_measures_every_part_and_writes_json_chart_and_page(tmp_path):
    page = tmp_path / "performance.md"
    marked = "<!-- python tools/bench --out=docs writes from here -->\nformer figures\n<!-- to here -->"
    page.write_text(f"# Above\n\n{marked}\n\nBelow.\n")
    run = bench("--quick", f"--only={ONLY}", f"--out={tmp_path}")
    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads((tmp_path / "bench.json").read_text())
    for part in ("machine", "load", "steps", "matrix_rate", "starting", "growth", "scale"):
        assert results[part], part
    assert set(results["steps"]["mixture"]) == {"tfdgm", "TFP"}
    assert {"tfdgm; no cache", "tfdgm; warm cache", "hand-written TensorFlow"} <= set(results["starting"])
    assert set(results["growth"]) == {"batch"} and len(results["scale"]) == 3
    assert all("is not installed" in reason for reason in results["missing"].values()), results["missing"]
    for place, number in numbers(results):
        assert math.isfinite(number) and number > 0, place
    assert (tmp_path / "performance.png").read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert text.startswith("# Above") and text.endswith("Below.\n") and "former figures" not in text
    assert "| density of a mixture of 60,000, per evaluation | tfdgm |" in text


def test_a_name_that_is_not_there_is_refused():
    run = bench("--only=vea")
    assert run.returncode == 2 and "there is no 'vea'" in run.stderr
