"""Runs `tfdgm verify` on one copy of the source tree after another, in one process: TensorFlow is imported once.

    python mutated.py JOBS.json RESULTS.json

A job is {"root": folder of the copy, "only": names of oracles}; its result {"from": file of the package that ran,
"code": exit code, "output": what was printed}.
"""

import contextlib
import importlib
import io
import json
import sys
from pathlib import Path


def run(root: str, only: list[str]) -> dict:
    for name in [name for name in sys.modules if name == "tfdgm" or name.startswith(("tfdgm.", "tfdgm_"))]:
        del sys.modules[name]
    sys.path[:2] = [root, str(Path(root) / "plugins")]
    importlib.invalidate_caches()
    commands = importlib.import_module("tfdgm.cli.main")
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = commands.main(["verify", *(f"--only={name}" for name in only)])
    return {"from": commands.__file__, "code": code, "output": output.getvalue()}


if __name__ == "__main__":
    jobs, results = map(Path, sys.argv[1:])
    sys.path[:0] = ["", ""]  # the first two places are the copy's
    results.write_text(json.dumps([run(**job) for job in json.loads(jobs.read_text())]))
