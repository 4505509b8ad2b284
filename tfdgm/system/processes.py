"""Start processes that end with the one that started them, and import nothing from the current folder."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
#: `python -m MODULE` would put the current folder first on the path, and import what lies there under a module's name.
_RUN_MODULE = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; import runpy; "
    "runpy.run_module({!r}, run_name='__main__', alter_sys=True)"
)


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module as `python -m` does, without the current folder on its path."""
    return [sys.executable, "-c", _RUN_MODULE.format(module), *arguments]


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
