"""Growth: time of a step and time of compilation against the settings that make a model large."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from processes import HERE, Failed, Worker, environment
from work import Size


def measure(size: Size, rounds: int, names: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the points of the curves of these names, and why others failed."""
    results: dict[str, Any] = {}
    missing = {}
    for name in names:
        quick = ["--quick"] if size.quick else []
        arguments = [name, str(size.of(20, 1)), str(min(rounds, 5)), *quick]
        with TemporaryDirectory() as caches:
            worker = Worker([str(HERE / "growing.py"), *arguments], environment(Path(caches)))
            try:
                results[name] = worker.answer()
            except Failed as reason:
                missing[f"growth, {name}"] = f"failed: {reason}"
            finally:
                worker.close()
    return results, missing
