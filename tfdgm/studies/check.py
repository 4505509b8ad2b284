"""Answers what needs TensorFlow: which objectives pair, and which configurations are refused.

`python -m tfdgm.studies.check` reads requests and writes answers, one JSON object a line. `Checker` talks to such a
process, so that the command itself stays light, and a plugin that brings the process down costs its own cells only.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfdgm.contracts.registry import load, select
from tfdgm.errors import UserError
from tfdgm.studies.exit_status import last_message
from tfdgm.system.processes import environment, python_command, start

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]


def about_objective(name: str) -> dict[str, Any]:
    """The request for an objective's traits; answered by the fields of `Traits`."""
    return {"objective": name}


def about_config(files: Sequence[str], bindings: Sequence[str], build: bool) -> dict[str, Any]:
    """The request to read a configuration, and to make its parts and variables; answered by its canonical `text`."""
    return {"files": list(files), "bindings": list(bindings), "build": build}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, or `refused` with the reason, or `raised` with what went wrong."""
    try:
        return _objective(request["objective"]) if "objective" in request else _config(request)
    except UserError as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}


def _objective(name: str) -> dict[str, Any]:
    loaded = load(select(f"objective.{name}"))
    traits = ("needs_posterior", "adversarial")
    return {trait: getattr(loaded, trait, False) is True for trait in traits}


def _config(request: Mapping[str, Any]) -> dict[str, Any]:
    from tfdgm.configuration.resolve import read_config

    config = read_config(request["files"], request["bindings"])
    if request["build"]:
        config.experiment().build()
    return {"text": config.text}


def main() -> None:
    """Answers until its input ends."""
    from tfdgm.system.runtime import import_tensorflow

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what plugins print is no answer
    import_tensorflow()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:  # ASCII, as `json.dumps` writes it
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


class Checker:
    """Asks a process of its own, which is started when it is needed first, and again should it have died."""

    def __enter__(self) -> "Checker":
        self.process: subprocess.Popen | None = None
        self.said = tempfile.TemporaryFile()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.said.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request; `raised` where the process died of it.

        Raises:
          UserError: the process does not start.
        """
        if self.process is None:
            command = python_command("tfdgm.studies.check")
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.said, "encoding": "utf-8"}
            self.process = start(command, environment(jobs=2), **pipes)
            if not self.process.stdout.readline():  # type: ignore[union-attr]
                raise UserError(f"the combinations could not be checked: {self._buried()}")
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()  # type: ignore[union-attr]
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"raised": self._buried()}

    def _buried(self) -> str:
        """Why the process ended."""
        assert self.process is not None
        self.process.communicate()
        code, self.process = self.process.returncode, None
        self.said.seek(0)
        message = last_message(self.said.read().decode(errors="replace"))
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{ended}: {message}" if message else ended


if __name__ == "__main__":
    main()
