"""One curve in a process of its own: builds and compiles every point, then the points take turns.

  python tools/bench/growing.py CURVE STEPS ROUNDS [--quick]

The answer is a line of JSON: for each value, microseconds of a step and the seconds of its compilation.
"""

import json
import os
import statistics
import sys
import time

from contenders.framework import loop
from curves import CURVES


def timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began


def main() -> None:
    name, steps, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    curve = CURVES[name]
    values = curve.values[:1] if "--quick" in sys.argv else curve.values
    works = {value: loop(curve.config, curve.binding(value), steps=steps) for value in values}
    first = {value: timed(work.call) for value, work in works.items()}
    times: dict[int, list[float]] = {value: [] for value in values}
    for _ in range(rounds):
        for value, work in works.items():
            times[value].append(timed(work.call))
    answer = {}
    for value, own in times.items():
        median = statistics.median(own)
        answer[value] = {"median": median / steps * 1e6, "compile": max(first[value] - median, 1e-6)}
    print(json.dumps(answer), flush=True)
    sys.stderr.flush()
    os._exit(0)  # TensorFlow takes its time to end


if __name__ == "__main__":
    main()
