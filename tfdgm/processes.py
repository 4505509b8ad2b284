"""Processes that end with the one that started them."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def start(command: Sequence[str], environment: Mapping[str, str], **streams: Any) -> subprocess.Popen:
    """Starts a process out of reach of the terminal's Ctrl-C, which this process passes on as it sees fit.

    On Linux it gets SIGTERM when this process ends, even by SIGKILL. Elsewhere it then goes on, and whoever comes next
    finds its workdir locked until it is done.
    """
    return subprocess.Popen(
        command, env=environment, start_new_session=True, preexec_fn=_dies_with(os.getpid()), **streams
    )


def _dies_with(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork, after which little is allowed

    def ask_for_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call above
            os._exit(128 + signal.SIGTERM)

    return ask_for_signal


def environment(jobs: int) -> dict[str, str]:
    """The environment of one of `jobs` processes at a time: they share the cores evenly, and the memory of a GPU.

    What is set already stays as it is.
    """
    shared = {}
    if jobs > 1:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = str(max(1, cores // jobs))
        shared = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads)
        shared["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    return {**shared, **os.environ}


@contextmanager
def sharing_programs(environment: Mapping[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """An environment in which a program that XLA compiled for one process is loaded by the others.

    Cells that differ by their seed alone have the same programs (72 s for a cell of 300 steps, 30 s from the second
    seed on). They are native code, so those that lie in `folder` already are not trusted: it is emptied before, and
    removed after.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    flags = f"--tf_xla_persistent_cache_directory={folder.resolve()} --tf_xla_persistent_cache_device_types=CPU"
    try:
        yield {
            "TF_CPP_MIN_LOG_LEVEL": "3",  # reading an entry logs an error of a first attempt that is bound to fail
            **environment,
            "TF_XLA_FLAGS": f"{environment.get('TF_XLA_FLAGS', '')} {flags}".strip(),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
