"""Processes that start, fail and stop together: the workers of one run, or a single trainer that may crash.

None of TensorFlow's workers recovers when another is lost, so all are started again, and go on from the last
checkpoint.
"""

import math
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from tfdgm.system.processes import start
from tfdgm.system.signals import signals_noted

#: Exit codes after which the same would happen again: done, non-finite, a mistake of the user's.
FINAL = (0, 1, 2)
#: Another worker was lost (EX_TEMPFAIL of sysexits.h).
LOST = 75

_SECONDS_BETWEEN_LOOKS = 0.1


def supervise(
    commands: Sequence[Sequence[str]],
    environments: Sequence[Mapping[str, str]],
    max_restarts: int,
    say: Callable[[str], None],
    patience: float = 15.0,
) -> int:
    """Runs commands side by side until all are done; when one crashes, all are started again.

    Signals that end a run are passed on, and then nothing is started again.

    Args:
      commands: one for each process.
      environments: in the same order.
      max_restarts: how often they may be started again.
      say: tells the user.
      patience: seconds between a request to end and SIGKILL.

    Returns:
      The exit code of the process that ended it, 128 + signal where a signal did.
    """
    restarts = 0
    with signals_noted(interruptible=False) as received:
        while True:
            processes = [
                start(command, environment) for command, environment in zip(commands, environments, strict=True)
            ]
            number, code = _watch(processes, received, patience)
            if received:
                return 128 + received[0]
            if code in FINAL:
                return code
            who = f"process {number} of {len(processes)}" if len(processes) > 1 else "the process"
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            if restarts == max_restarts:
                say(f"{who} {how}; it was restarted {restarts} time(s), which is all that --max_restarts allows")
                return 128 - code if code < 0 else code
            restarts += 1
            say(f"{who} {how}; starting again, {restarts} of at most {max_restarts}")


def _watch(processes: Sequence[subprocess.Popen], received: list[int], patience: float) -> tuple[int, int]:
    """Until all are done, or one fails, or a signal comes; then none of them is left.

    Returns:
      (number of the process that failed first, its exit code), or zeros.
    """
    passed_on, deadline, cause = 0, math.inf, (0, 0)
    while True:
        codes = [process.poll() for process in processes]
        if len(received) > passed_on:  # a second signal does not wait
            _signal(processes, received[0] if passed_on == 0 else signal.SIGKILL)
            passed_on = len(received)
        if not cause[1] and any(codes):
            # a crash comes before the losses that follow from it, which are noticed after seconds
            cause = min((code == LOST, number, code) for number, code in enumerate(codes) if code)[1:]
            deadline = time.monotonic() + patience
            if not passed_on:
                _signal(processes, signal.SIGTERM)
        if all(code is not None for code in codes):
            return cause
        if time.monotonic() > deadline:  # one that hangs, or is frozen, is not waited for
            _signal(processes, signal.SIGKILL)
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _signal(processes: Sequence[subprocess.Popen], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)
