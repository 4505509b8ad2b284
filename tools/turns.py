"""Loops that take turns, so that a change of the machine's speed meets all of them."""

import statistics
import time
from collections.abc import Callable

import numpy as np

Loop = Callable[[np.ndarray], float]


def report_turns(
    title: str, loops: dict[str, Loop], num_rows: int, shape: tuple[int, int], steps: int, rounds: int
) -> None:
    """Prints the time of a step in each loop, and the ratio of the medians to it of the first.

    Args:
      title: of the table.
      loops: from int32 positions of rows `shape` to a loss.
      num_rows: positions are drawn below it.
      shape: `(draws of batches, batch)` of one call.
      steps: steps in one call.
      rounds: calls of each loop that count; one more comes first, which compiles.
    """
    random = np.random.RandomState(0)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for round_number in range(rounds + 1):
        positions = random.randint(0, num_rows, shape).astype(np.int32)
        for name, loop in loops.items():
            began = time.perf_counter()
            loss = loop(positions)
            if round_number:
                times[name].append((time.perf_counter() - began) / steps * 1e6)
            assert np.isfinite(loss)
    medians = {name: statistics.median(values) for name, values in times.items()}
    first = next(iter(loops))
    print(f"{title:<26}{'us/step':>10}{'fastest':>10}{first + ' / it':>12}")
    for name, median in medians.items():
        print(f"{name:<26}{median:>10.0f}{min(times[name]):>10.0f}{medians[first] / median:>12.3f}", flush=True)
