"""Validate configurations in a process that has TensorFlow.

`python -m tfdgm.studies.validator` reads requests and writes answers, one JSON object per line. `Validator` talks to
such a process: the command itself stays light, and a plugin that crashes the process affects no other cell.
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
from tfdgm.errors import PluginFault, UserError
from tfdgm.studies.exit_status import last_message
from tfdgm.system.processes import environment, python_command, start

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]


def objective_request(name: str) -> dict[str, Any]:
    """Return the request for the traits of an objective; the answer has the fields of `Traits`."""
    return {"objective": name}


def config_request(files: Sequence[str], bindings: Sequence[str], build: bool) -> dict[str, Any]:
    """Return the request to read a configuration; the answer has its canonical `text`.

    Args:
      files: config files.
      bindings: gin statements.
      build: whether to build the model and its variables too.
    """
    return {"files": list(files), "bindings": list(bindings), "build": build}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a request, or `refused` with the user error, or `raised` with any other error."""
    try:
        return _objective(request["objective"]) if "objective" in request else _config(request)
    except PluginFault as error:
        return {"raised": str(error)}
    except UserError as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}


def _objective(name: str) -> dict[str, Any]:
    loaded = load(select(f"objective.{name}"))
    traits = ("needs_posterior", "adversarial", "trains_decoder")
    return {trait: getattr(loaded, trait, False) is True for trait in traits}


def _config(request: Mapping[str, Any]) -> dict[str, Any]:
    from tfdgm.configuration.resolve import read_config

    config = read_config(request["files"], request["bindings"])
    if request["build"]:
        config.experiment().build()
    return {"text": config.text}


def main() -> None:
    """Answer requests until standard input ends."""
    from tfdgm.system.runtime import import_tensorflow

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # plugins may print; only answers go to the former standard output
    import_tensorflow()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:  # ASCII, as `json.dumps` writes it
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


class Validator:
    """Sends requests to a child process, which is started for the first request and restarted if it has died."""

    def __enter__(self) -> "Validator":
        self.process: subprocess.Popen | None = None
        self.errors = tempfile.TemporaryFile()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
        self.errors.close()

    def close(self) -> None:
        """End the process; another request starts it again."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request, or `raised` if the process died of it.

        Raises:
          UserError: the process does not start.
        """
        if self.process is None:
            command = python_command("tfdgm.studies.validator")
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors, "encoding": "utf-8"}
            self.process = start(command, environment(jobs=2), **pipes)
            if not self.process.stdout.readline():  # type: ignore[union-attr]
                raise UserError(f"the combinations could not be validated: {self._cause_of_death()}")
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()  # type: ignore[union-attr]
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"raised": self._cause_of_death()}

    def _cause_of_death(self) -> str:
        """Return why the process ended, and forget it."""
        assert self.process is not None
        self.process.communicate()
        code, self.process = self.process.returncode, None
        self.errors.seek(0)
        message = last_message(self.errors.read().decode(errors="replace"))
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{ended}: {message}" if message else ended


if __name__ == "__main__":
    main()
