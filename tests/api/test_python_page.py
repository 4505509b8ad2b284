"""The code of docs/python.md runs as it stands."""

import re
from pathlib import Path

import pytest

import tfdgm

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    values: dict = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), values)
    assert values["run"].step == 100 and {path.name for path in tmp_path.iterdir()} == {"w", "made"}


def test_every_method_and_argument_is_on_the_page():
    for name in vars(tfdgm.TrainedRun):
        assert name.startswith("_") or f"`{name}" in PAGE, name
    code = tfdgm.train.__wrapped__.__code__
    for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        assert f"`{name}" in PAGE, name
