"""Where the figures go: bench.json, the picture, and the page of the docs between its markers."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chart
from tables import heading, tables

BEGIN = "<!-- python tools/bench --out=docs writes from here -->"
END = "<!-- to here -->"


def write(results: dict[str, Any], folder: Path) -> None:
    """Write `bench.json` and `performance.png`, and rewrite `performance.md` between its markers where it exists."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    chart.draw(results, folder / "performance.png")
    page = folder / "performance.md"
    if page.exists():
        page.write_text(rewritten(page.read_text(encoding="utf-8"), markdown(results)), encoding="utf-8")


def markdown(results: dict[str, Any]) -> str:
    """Return all figures as Markdown."""
    return "\n".join([f"{heading(results)}\n", *(table.markdown() for table in tables(results))])


def rewritten(page: str, figures: str) -> str:
    """Return a page with other figures between its markers.

    Raises:
      SystemExit: it lacks one.
    """
    before, began, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not began or not ended:
        raise SystemExit(f"the page has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures}\n{END}{after}"


def wrong(results: Any, path: str = "") -> Iterator[str]:
    """Yield the places of figures that are not finite and positive."""
    if isinstance(results, dict):
        for name, value in results.items():
            yield from wrong(value, f"{path}/{name}")
    elif isinstance(results, float) and not (math.isfinite(results) and results > 0):
        yield f"{path} is {results}"
