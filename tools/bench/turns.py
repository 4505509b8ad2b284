"""Contenders that take turns, so that a change of the machine's speed meets all of them."""

import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cases import Case, Contender
from processes import HERE, Failed, Worker, environment
from work import Size


def take_turns(case: Case, size: Size, rounds: int) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return what each contender took, and why others were left out.

    The first call of each compiles and the second warms up; neither counts. Contenders are built a core each at a time,
    and only one of them ever runs in a round.

    Args:
      case: who takes part.
      size: of a call.
      rounds: calls of each that count.

    Returns:
      By name: microseconds per unit (`median`, `fastest`), `ratio` of the first contender's median to this one's,
      `first_call` in seconds, with compilation, while others are being built, and `peak_megabytes` of the process.
    """
    with tempfile.TemporaryDirectory() as caches:
        workers, missing = start(case.contenders, size, Path(caches))
        times: dict[str, list[float]] = {name: [] for name in workers}
        peaks: dict[str, float] = {}
        try:
            for number in range(rounds + 1):
                for name, (worker, units, _) in list(workers.items()):
                    try:
                        said = worker.ask()
                    except Failed as reason:
                        missing[name] = f"failed: {reason}"
                        workers.pop(name)[0].close()
                        continue
                    peaks[name] = said["peak"]
                    if number:
                        times[name].append(said["seconds"] / units * 1e6)
        finally:
            for worker, _, _ in workers.values():
                worker.close()
    medians = {name: statistics.median(times[name]) for name in workers}
    reference = next(iter(medians.values()), 0.0)
    results = {
        name: {
            "median": median,
            "fastest": min(times[name]),
            "ratio": reference / median,
            "first_call": workers[name][2],
            "peak_megabytes": peaks[name],
        }
        for name, median in medians.items()
    }
    return results, missing


def start(contenders: dict[str, Contender], size: Size, caches: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (worker, units per call, seconds of the first call) of those that could be built, and why others not."""
    missing = {name: f"{c.needs} is not installed" for name, c in contenders.items() if not c.installed}

    def begin(name: str) -> Any:
        quick = ["--quick"] if size.quick else []
        worker = Worker([str(HERE / "worker.py"), contenders[name].builder, *quick], environment(caches))
        try:
            return worker, worker.answer()["units"], worker.ask()["seconds"]
        except Failed as reason:
            worker.close()
            return f"failed: {reason}"

    names = [name for name in contenders if name not in missing]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = dict(zip(names, pool.map(begin, names), strict=True))
    missing |= {name: found for name, found in begun.items() if isinstance(found, str)}
    return {name: found for name, found in begun.items() if not isinstance(found, str)}, missing
