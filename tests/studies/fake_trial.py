"""Replace `tfdgm train` in tests of searches: the score at step s is -(x - 3)^2 - 10 / s of the binding `x`, at once.

A run with x > 8 crashes. One with x > 5 reports its first step, and waits up to 5 s for a signal to stop.
"""

import re
import signal
import sys
import time
from pathlib import Path

arguments = dict(re.fullmatch(r"--(\w+)=(.*)", argument).groups() for argument in sys.argv[1:] if "x = " in argument)
x = float(arguments["gin_bindings"].partition("=")[2])
workdir = Path(next(argument for argument in sys.argv if argument.startswith("--workdir=")).partition("=")[2])
workdir.mkdir(parents=True, exist_ok=True)
with open(workdir / "starts", "a") as file:
    file.write("x")
received = []
signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
if x > 8:
    sys.exit("no such model")
lines = [f'{{"step": {step}, "validation_elbo": {-((x - 3) ** 2) - 10 / step}}}\n' for step in (1, 2, 3)]
if x > 5:
    (workdir / "metrics.jsonl").write_text(lines[0])
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        time.sleep(0.01)
        if received:
            sys.exit(143)
(workdir / "metrics.jsonl").write_text("".join(lines))
(workdir / "eval.json").write_text(f'{{"elbo": {-((x - 3) ** 2)}, "seed": 0}}')
(workdir / "report.html").touch()
