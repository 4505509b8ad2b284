"""Replace `tfdgm train` in tests: behave as the name of the prior says, and write the files of a run at once."""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

flags = [argument.removeprefix("--").partition("=") for argument in sys.argv[1:]]
values = {name: value for name, _, value in flags}
workdir = Path(values["workdir"])
prior = values["prior"]
(workdir / "checkpoints").mkdir(parents=True, exist_ok=True)
with open(workdir / "starts", "a") as file:
    file.write(f"{os.getpid()}\n")

received = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: received.append(number))
lock = open(workdir / ".lock", "w")  # noqa: SIM115  (the system lets go of it)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("tfdgm: another process trains here")
    sys.exit(2)

(workdir / "checkpoints" / "step-0.npz").touch()
print("training", prior, flush=True)
if prior == "refusing":
    print("tfdgm: this pair has no meaning", file=sys.stderr)
    sys.exit(2)
if prior == "crashing":
    raise ValueError("it was never tested")
if prior == "dying":
    os.kill(os.getpid(), signal.SIGKILL)
while prior in ("long", "stubborn") and not (workdir / "saved").exists():
    time.sleep(0.01)
    if received and prior == "long":
        time.sleep(0.2)  # a checkpoint takes its time
        (workdir / "saved").touch()
        sys.exit(128 + received[0])
(workdir / "metrics.jsonl").write_text('{"step": 10}\n')
(workdir / "scores.json").write_text('{"elbo": {"unit": "nats", "formula": "", "main": true}}')
(workdir / "eval.json").write_text(f'{{"elbo": -2{values["gin_bindings"][-1]}.5, "seed": 0}}')
(workdir / "report.html").touch()
