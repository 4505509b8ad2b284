"""One contender in a process of its own: builds it, then makes a call for every line of its input.

  python tools/bench/worker.py MODULE:FUNCTION [--quick]

Answers are lines of JSON; what libraries print goes to standard error. A process of its own keeps every contender's
threads, memory and compiled programs apart from the others'.
"""

import importlib
import json
import math
import os
import resource
import sys
import time

from work import Size


def peak_megabytes() -> float:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**what: float) -> None:
        print(json.dumps(what), file=answers, flush=True)

    module, function = sys.argv[1].split(":")
    work = getattr(importlib.import_module(f"contenders.{module}"), function)(Size("--quick" in sys.argv))
    answer(units=work.units)
    for _ in sys.stdin:
        began = time.perf_counter()
        value = work.call()
        seconds = time.perf_counter() - began
        if not math.isfinite(value):
            sys.exit(f"{sys.argv[1]} gave {value}")
        answer(seconds=seconds, peak=peak_megabytes())
    answers.close()
    sys.stderr.flush()
    os._exit(0)  # some libraries take seconds to end, or fail at it


if __name__ == "__main__":
    main()
