"""Scale of the command itself: a matrix of 200 cells is planned, and 500 more plugins are listed."""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import Failed, environment
from work import Size

#: Parts of 4 combinations that have a meaning.
PARTS = ["--posteriors=gaussian", "--priors=gaussian,maf", "--objectives=elbo,elbo+jsd"]


def measure(size: Size, rounds: int) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return the medians in seconds, and what failed."""
    cells, plugins = size.of(200, 4), size.of(500, 5)
    with TemporaryDirectory() as folder:
        install(Path(folder) / "many", plugins)
        ways = {
            f"plan a matrix of {cells} cells": (
                ["matrix", "--dry_run", f"--workdir={folder}/all", *PARTS, f"--seeds={seeds(cells // 4)}"],
                environment(Path(folder)),
            ),
            "list the plugins": (["plugins", "list"], environment(Path(folder))),
            f"list {plugins} plugins more": (
                ["plugins", "list"],
                environment(Path(folder), PYTHONPATH=str(Path(folder) / "many")),
            ),
        }
        times: dict[str, list[float]] = {}
        missing = {}
        for _ in range(min(rounds, 3)):
            for name, (arguments, env) in ways.items():
                try:
                    times.setdefault(name, []).append(timed(arguments, env))
                except Failed as reason:
                    missing[name] = str(reason)
    return {name: {"seconds": statistics.median(own)} for name, own in times.items() if own}, missing


def seeds(count: int) -> str:
    return ",".join(map(str, range(count)))


def install(folder: Path, count: int) -> None:
    """Write the metadata of an installed package with so many plugins."""
    metadata = folder / "many_plugins-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: many-plugins\nVersion: 1.0\n")
    lines = [f"many_{number} = many_plugins.module_{number}:Prior" for number in range(count)]
    (metadata / "entry_points.txt").write_text("\n".join(["[tfdgm.prior]", *lines, ""]))


def timed(arguments: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    run = subprocess.run([sys.executable, "-m", "tfdgm", *arguments], env=env, capture_output=True, text=True)
    if run.returncode:
        raise Failed(f"tfdgm {arguments[0]}: {(run.stderr or run.stdout).strip().splitlines()[-1]}")
    return time.perf_counter() - began
