"""How a training process ended, told by its exit code, what it printed and what it left in its workdir."""

import dataclasses
import re
import signal
from pathlib import Path
from typing import Any

from tfdgm.runs.workdir import Workdir

DONE, REFUSED, FAILED, UNFINISHED = "done", "refused", "failed", "unfinished"
#: Told of a cell on the page only: a record would keep it when the command is killed.
RUNNING = "running"

_LONGEST_REASON = 2_000


@dataclasses.dataclass(frozen=True)
class ExitStatus:
    """A status and, unless it is done, the reason."""

    status: str
    reason: str = ""


def outcome(code: int, said: str, workdir: Path, stopped: bool) -> ExitStatus:
    """Tells the outcome of a process that has ended.

    Args:
      code: what it returned; negative for a signal that killed it.
      said: what it printed.
      workdir: the folder of its run.
      stopped: whether it was asked to stop.
    """
    if code == 0:
        if finished(workdir):
            return ExitStatus(DONE)
        return ExitStatus(FAILED, "it ended without scores and report")
    by_signal = -code if code < 0 else code - 128 if code > 128 else 0
    if stopped and by_signal:
        return ExitStatus(UNFINISHED, f"stopped by {_signal_name(by_signal)}")
    message = last_message(said)
    if code == 2 and _not_begun(workdir):
        return ExitStatus(REFUSED, message or "exit code 2")
    ended = f"killed by {_signal_name(by_signal)}" if by_signal else f"exit code {code}"
    if by_signal or not message:
        message = f"{ended}: {message}" if message else ended
    return ExitStatus(FAILED, message)


def finished(workdir: Path) -> bool:
    """Whether a run has come to its end: the report is the last file to be written."""
    return (workdir / "eval.json").is_file() and (workdir / "report.html").is_file()


def numbers(workdir: Path) -> dict[str, float]:
    """The numeric scores of a run; the seed is not one."""
    scores: dict[str, Any] = Workdir(workdir).scores()
    return {name: value for name, value in scores.items() if isinstance(value, (int, float)) and name != "seed"}


def _not_begun(workdir: Path) -> bool:
    """Whether a run got no further than to its first step: there the last refusals arise, while it is traced."""
    metrics = workdir / "metrics.jsonl"
    without_steps = not metrics.exists() or not metrics.stat().st_size
    return without_steps and any((workdir / "checkpoints").glob("step-*.npz"))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_message(said: str) -> str:
    """The message with which a process ended: tfdgm's own, else that of the last traceback, else the last line."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", said).splitlines() if line.strip()]
    own = [number for number, line in enumerate(lines) if line.startswith("tfdgm: ")]
    traces = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if own and own[-1] > max(traces, default=-1):
        message = "\n".join(lines[own[-1] :]).removeprefix("tfdgm: ")
    elif traces:
        after = lines[traces[-1] + 1 :]
        message = next((line for line in after if not line.startswith(" ")), lines[-1])
    else:
        message = lines[-1] if lines else ""
    return message.strip()[:_LONGEST_REASON]
