"""Start processes that end with their parent, and that import nothing from the current folder."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
#: `python -m MODULE` would put the current folder first on the path, and import modules from there.
_RUN_MODULE = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; import runpy; "
    "runpy.run_module({!r}, run_name='__main__', alter_sys=True)"
)


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module as `python -m` does, without the current folder on its path."""
    return [sys.executable, "-c", _RUN_MODULE.format(module), *arguments]


def start(command: Sequence[str], environment: Mapping[str, str], **streams: Any) -> subprocess.Popen:
    """Start a process in a new session, so that the terminal's Ctrl-C reaches this process only.

    On Linux it gets SIGTERM when this process ends, even by SIGKILL. Elsewhere it continues, and its workdir stays
    locked until it ends.
    """
    return subprocess.Popen(
        command, env=environment, start_new_session=True, preexec_fn=_dies_with(os.getpid()), **streams
    )


def _dies_with(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork, since little is safe after it

    def ask_for_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the parent ended before the call above
            os._exit(128 + signal.SIGTERM)

    return ask_for_signal


def environment(jobs: int) -> dict[str, str]:
    """Return an environment for each of `jobs` simultaneous processes, which share the cores and a GPU's memory.

    Variables that are already set keep their values.
    """
    shared = {}
    if jobs > 1:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = str(max(1, cores // jobs))
        shared = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads)
        shared["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    return {**shared, **os.environ}
