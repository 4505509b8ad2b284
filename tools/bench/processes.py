"""Processes of workers: how they are started, asked and ended."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
#: After so long without an answer, a worker has failed.
LIMIT_SECONDS = 300.0


class Failed(Exception):
    """A worker ended, or was silent for too long; says why."""


def environment(caches: Path, **changes: str) -> dict[str, str]:
    """Return the variables of a worker: on the CPU, with caches of compiled programs in a folder of its own."""
    own = {
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TFDGM_CACHE": "off",
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
    }
    kept = {name: value for name, value in os.environ.items() if name not in ("TF_XLA_FLAGS", "XLA_FLAGS")}
    return kept | own | changes


class Worker:
    """A process that answers lines with lines of JSON.

    Args:
      arguments: after the interpreter.
      env: its variables.
    """

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=env,
            text=True,
        )

    def ask(self, line: str = "go") -> Any:
        """Send a line and return the answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self) -> Any:
        """Return the next answer.

        Raises:
          Failed: there is none.
        """
        assert self.process.stdout is not None
        timer = threading.Timer(LIMIT_SECONDS, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            self.process.wait()
            raise Failed(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = [line for line in self.errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:200] if lines else f"ended with exit code {self.process.returncode}"

    def close(self) -> None:
        """End the process."""
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
