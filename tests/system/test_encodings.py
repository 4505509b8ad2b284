"""Texts are UTF-8 whatever the locale."""

import ast
import json
import os
import subprocess
import sys

import pytest
from source_files import CORE, PLUGINS, name

#: Calls that take the locale's encoding unless they are told one; those in binary mode have none.
READERS = ("open", "read_text", "write_text", "fdopen", "NamedTemporaryFile", "reader")


def in_binary(call):
    modes = [argument.value for argument in [*call.args[:2], *(k.value for k in call.keywords if k.arg == "mode")]
             if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]  # fmt: skip
    return any("b" in mode and len(mode) <= 3 for mode in modes)


@pytest.mark.parametrize("path", [*CORE, *PLUGINS], ids=name)
def test_every_text_file_is_opened_with_its_encoding(path):
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        if (
            called not in READERS
            or (called, owner) == ("write_text", "")
            or owner in ("os", "Image", "archive", "files", "builder", "self")
        ):
            continue
        assert in_binary(call) or any(keyword.arg == "encoding" for keyword in call.keywords), (
            f"{path.name}:{call.lineno}: {ast.unparse(call)}"
        )


@pytest.mark.slow
def test_a_run_in_a_locale_of_another_encoding_reads_and_writes_utf_8(tmp_path):
    lines = ['include "digits/vae.gin"', "# Größe", "steps = 10", "experiment.steps_per_loop = 10"]
    (tmp_path / "größe.gin").write_bytes("\n".join(lines).encode())
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    command = [sys.executable, "-m", "tfdgm", "train", "--workdir=größe", "--gin_file=größe.gin"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    workdir = tmp_path / "größe"
    assert json.loads((workdir / "run.json").read_text(encoding="utf-8"))["argv"][1:2] == ["train"]
    assert "E[x|z]" in (workdir / "report.html").read_text(encoding="utf-8")
