"""Processes that start, fail and stop together: the workers of one run, or a single trainer that may crash.

None of TensorFlow's workers recovers when another is lost, so all are started again, and go on from the last
checkpoint.
"""

import signal
from collections.abc import Callable, Mapping, Sequence

from tfdgm.system.children import Children

#: Exit codes after which a restart would end in the same way: done, non-finite values, a user error.
FINAL = (0, 1, 2)
#: Another worker was lost (EX_TEMPFAIL of sysexits.h).
LOST = 75


def supervise(
    commands: Sequence[Sequence[str]],
    environments: Sequence[Mapping[str, str]],
    max_restarts: int,
    say: Callable[[str], None],
    patience: float = 15.0,
) -> int:
    """Run commands side by side until all are done; restart all of them when one crashes.

    Signals that end a run are passed on, and nothing is restarted after one.

    Args:
      commands: one for each process.
      environments: in the same order.
      max_restarts: limit on the number of restarts.
      say: prints a line for the user.
      patience: seconds between a request to end and SIGKILL.

    Returns:
      The exit code of the process that failed first, or 128 + signal after a signal.
    """
    restarts = 0
    with Children[int](patience) as children:
        while True:
            for number, (command, environment) in enumerate(zip(commands, environments, strict=True)):
                children.start(number, command, environment)
            number, code = _first_failure(children)
            if children.received:
                return 128 + children.received[0]
            if code in FINAL:
                return code
            who = f"process {number} of {len(commands)}" if len(commands) > 1 else "the process"
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            if restarts == max_restarts:
                say(f"{who} {how}; it was restarted {restarts} time(s), the limit set by --max_restarts")
                return 128 - code if code < 0 else code
            restarts += 1
            say(f"{who} {how}; restarting, {restarts} of at most {max_restarts}")


def _first_failure(children: Children[int]) -> tuple[int, int]:
    """Wait until no process is left; once one fails, stop the others.

    Returns:
      (number of the process that failed first, its exit code), or zeros if none did.
    """
    cause = 0, 0
    while children.running:
        # a crash comes before the losses that follow from it, which are noticed after seconds
        failures = [(code == LOST, number, code) for number, code in children.wait().items() if code]
        if failures and not cause[1]:
            cause = min(failures)[1:]
            children.stop()
    return cause
