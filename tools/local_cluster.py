"""Trains with several worker processes on this machine, over the loopback interface.

  python tools/local_cluster.py --workers=2 -- --workdir=runs/two --gin_file=digits/vae.gin

What follows `--` are flags of `tfdgm train`; `experiment.strategy = "multi_worker"` is added to them. When a worker is
lost all are started again and go on from the last checkpoint. On several machines start one worker on each instead,
with TF_CONFIG set and `tfdgm train --max_restarts=N`, which is the same supervision.
"""

import argparse
import json
import os
import socket
import sys

from tfdgm.system.processes import environment, python_command
from tfdgm.system.supervisor import supervise

STRATEGY = '--gin_bindings=experiment.strategy = "multi_worker"'


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def environments(workers: int) -> list[dict[str, str]]:
    """What each worker is told of the cluster; they share the cores evenly."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    return [
        {
            **environment(workers),
            "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}),
        }
        for number in range(workers)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--max_restarts", type=int, default=3)
    parser.add_argument("flags", nargs="*", help="of tfdgm train, after --")
    options = parser.parse_args()
    if options.workers < 1 or options.max_restarts < 0:
        parser.error("--workers must be at least 1, and --max_restarts not negative")
    if not any(flag.startswith("--workdir=") for flag in options.flags):
        parser.error("--workdir=DIRECTORY is needed among the flags of tfdgm train")
    command = python_command("tfdgm", "train", *options.flags, STRATEGY)
    return supervise(
        [command] * options.workers,
        environments(options.workers),
        options.max_restarts,
        say,
    )


def say(line: str) -> None:
    print(f"local_cluster: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.pop("TF_CONFIG", None)
    sys.exit(main())
