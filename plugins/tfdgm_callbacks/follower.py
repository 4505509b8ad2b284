"""What callbacks share that pass the metrics of a run on to a program outside of it."""

import json
import threading
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfdgm import Callback, Training, warn

#: Seconds that the end of a run waits for the program.
_PATIENCE = 30.0
#: Seconds until a program that could not be reached is tried again.
_RETRY = 10.0

Line = dict[str, float]


class Follower(Callback):
    """Passes every line of `metrics.jsonl` on, once, in a thread, so that a slow or missing program delays no step.

    What the program has missed is sent when it is reached again; a run that is resumed goes on where the program is. If
    it cannot be reached, one warning says so, and training goes on.

    A subclass has `connect` and `send`, which run in the thread and may raise any exception, and `close` and `publish`.

    Attributes:
      identity: names the run in the program; it is kept in the checkpoints.
    """

    def __init__(self) -> None:
        self.identity: str | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._ending = False
        self._connected = False
        self._sent = -1
        self._warned = False

    @abstractmethod
    def connect(self) -> int:
        """Open the run in the program, or create it, and return the last step that it has; -1 for none."""

    @abstractmethod
    def send(self, lines: Sequence[Line]) -> None:
        """Send lines, in the order of their steps."""

    def close(self, complete: bool) -> None:
        """Tell the program that training has ended; `complete` says whether at its last step."""

    def publish(self, step: int, scores: Mapping[str, Any]) -> None:
        """Send the scores of a finished run, and its files."""

    def on_start(self, training: Training) -> None:
        self.training = training
        self.identity = self.identity or uuid.uuid4().hex
        if self._thread is None:
            self._ending = False
            self._thread = threading.Thread(target=self._follow, name=self.display_name(), daemon=True)
            self._thread.start()
        else:  # a recovery takes steps again, and other ones than before
            self._sent = min(self._sent, training.step)
        self._wake.set()

    def on_loop_end(self, step: int, metrics: Mapping[str, float]) -> None:
        self._wake.set()

    def on_end(self, step: int) -> None:
        if self._thread is None:
            return
        self._ending = True
        self._wake.set()
        self._thread.join(_PATIENCE)
        late = self._thread.is_alive()
        self._thread = None
        if late:
            self._complain(f"it has not answered for {_PATIENCE:.0f} s")

    def on_scored(self, step: int, scores: Mapping[str, Any]) -> None:
        def work() -> None:
            self._attempt(lambda: self.publish(step, scores))

        if self._connected:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            thread.join(_PATIENCE)

    def state(self) -> dict[str, Any]:
        return {"identity": self.identity}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.identity = state["identity"]

    def _follow(self) -> None:
        """Send what is new whenever a loop ends, until the run ends."""
        next_attempt = 0.0
        while True:
            self._wake.wait()
            self._wake.clear()
            ending = self._ending  # before the work: what comes later is sent by another round
            if (ending or time.monotonic() >= next_attempt) and not self._attempt(self._catch_up):
                next_attempt = time.monotonic() + _RETRY
            if ending:
                if self._connected:
                    self._attempt(lambda: self.close(self.training.step >= self.training.built.experiment.steps))
                return

    def _catch_up(self) -> None:
        if not self._connected:
            self._sent = self.connect()
            self._connected = True
        lines = lines_after(self.training.workdir / "metrics.jsonl", self._sent)
        if lines:
            self.send(lines)
            self._sent = int(lines[-1]["step"])

    def _attempt(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception as error:  # whatever the library raises, it must not end the training
            self._complain(f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}")
            return False
        return True

    def _complain(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            warn(f"{self.display_name()}: {reason}; training goes on, and metrics.jsonl has what was not sent")


def lines_after(path: Path, step: int) -> list[Line]:
    """Return the complete lines of a metrics file after a step, in order."""
    try:
        texts = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    lines = [line for line in map(_parsed, texts) if line is not None]
    return [line for line in lines if line["step"] > step]


def _parsed(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("step"), int) else None


def settings_of(workdir: Path) -> dict[str, str]:
    """Return the statements of the run's `config.gin` by name; none in a run that has no configuration."""
    path, settings, name = workdir / "config.gin", dict[str, str](), ""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line[:1].isspace() and name:
            settings[name] += line.strip().rstrip("\\")
        elif "=" in line:
            name, _, value = (part.strip() for part in line.partition("="))
            settings[name] = value.rstrip("\\").strip()
    return settings


def files_of(workdir: Path, step: int, kinds: Sequence[str]) -> list[tuple[Path, str]]:
    """Return the files of a finished run, each with its folder in the program.

    Args:
      workdir: of the run.
      step: the last one.
      kinds: of "config", "page", "pictures" and "checkpoint".
    """
    patterns = {
        "config": (("config.gin", ""),),
        "page": (("report.html", ""), ("eval.json", "")),
        "pictures": ((f"samples/*-{step}*.png", "samples"),),
        "checkpoint": ((f"checkpoints/step-*{step}.npz", "checkpoints"),),
    }
    found = [(path, folder) for kind in kinds for pattern, folder in patterns[kind] for path in workdir.glob(pattern)]
    return sorted(found)
