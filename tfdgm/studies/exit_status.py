"""Determine how a training process ended from its exit code, its output and its workdir."""

import dataclasses
import re
import signal
from pathlib import Path
from typing import Any

from tfdgm.runs.workdir import Workdir

DONE, REFUSED, FAILED, UNFINISHED = "done", "refused", "failed", "unfinished"
#: Stopped before its end, since other cells did better.
PRUNED = "pruned"
STATUSES = (DONE, REFUSED, FAILED, UNFINISHED, PRUNED)
#: Shown on the page only: the record would keep this status when the command is killed.
RUNNING = "running"

_LONGEST_REASON = 2_000


@dataclasses.dataclass(frozen=True)
class ExitStatus:
    """A status and, unless the cell is done, the reason."""

    status: str
    reason: str = ""


def exit_status(code: int, output: str, workdir: Path, stopped: bool) -> ExitStatus:
    """Return the status of a process that has ended.

    Args:
      code: its exit code, or the negative number of the signal that killed it.
      output: the text that it printed.
      workdir: the folder of its run.
      stopped: whether a signal to stop was passed on to it.
    """
    if code == 0:
        if finished(workdir):
            return ExitStatus(DONE)
        return ExitStatus(FAILED, "it ended without scores and report")
    by_signal = -code if code < 0 else code - 128 if code > 128 else 0
    if stopped and by_signal:
        return ExitStatus(UNFINISHED, f"stopped by {_signal_name(by_signal)}")
    message = last_message(output)
    if code == 2 and _made_no_step(workdir):
        return ExitStatus(REFUSED, message or "exit code 2")
    ended = f"killed by {_signal_name(by_signal)}" if by_signal else f"exit code {code}"
    if by_signal or not message:
        message = f"{ended}: {message}" if message else ended
    return ExitStatus(FAILED, message)


def finished(workdir: Path) -> bool:
    """Return whether a run is finished; the report is the last file that it writes."""
    return (workdir / "eval.json").is_file() and (workdir / "report.html").is_file()


def numeric_scores(workdir: Path) -> dict[str, float]:
    """Return the numeric scores of a run, without the seed."""
    scores: dict[str, Any] = Workdir(workdir).scores()
    return {name: value for name, value in scores.items() if isinstance(value, (int, float)) and name != "seed"}


def _made_no_step(workdir: Path) -> bool:
    """Return whether a run ended before its first step; tracing that step raises the last of the refusals."""
    metrics = workdir / "metrics.jsonl"
    without_steps = not metrics.exists() or not metrics.stat().st_size
    return without_steps and any((workdir / "checkpoints").glob("step-*.npz"))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_message(output: str) -> str:
    """Return the final message of a process: tfdgm's own, else that of the last traceback, else the last line."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output).splitlines() if line.strip()]
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
