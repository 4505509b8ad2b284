"""Trains with several worker processes on this machine, over the loopback interface.

  python tools/local_cluster.py --workers=2 -- --workdir=runs/two --gin_file=digits/vae.gin

What follows `--` are flags of `tfdgm train`; `experiment.strategy = "multi_worker"` is added to them. When a worker is
lost all are started again and go on from the last checkpoint. On several machines start one worker on each instead,
with TF_CONFIG set and `tfdgm train --max_restarts=N`, which is the same supervision.

TensorFlow's servers listen on all interfaces of a machine, whatever address they are given, and ask nobody who he is.
So on Linux the workers get a network of their own, in which there is only the loopback interface.
"""

import argparse
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from pathlib import Path

from tfdgm.processes import environment
from tfdgm.supervisor import supervise

STRATEGY = '--gin_bindings=experiment.strategy = "multi_worker"'


_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1


def isolate_network() -> bool:
    """Moves this process into a network namespace with nothing but a loopback interface; whether that succeeded."""
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    except OSError as error:
        raise SystemExit(f"local_cluster: the loopback interface could not be set up: {error}") from None
    return True


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
    if not isolate_network():
        say("no network of its own could be had: TensorFlow's ports are open on all interfaces of this machine")
    command = [sys.executable, "-m", "tfdgm", "train", *options.flags, STRATEGY]
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
