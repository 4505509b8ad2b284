"""The public API is the one that `docs/public_api.txt` lists."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def lines():
    return list(runpy.run_path(str(ROOT / "tools" / "public_api.py"))["lines"]())


def test_the_signatures_are_those_of_the_list(lines):
    listed = (ROOT / "docs" / "public_api.txt").read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(listed) - set(lines)), sorted(set(lines) - set(listed))
    assert lines == listed, (
        f"the public API changed: {gone} became {new}. If that is meant, write a line in CHANGELOG.md, and "
        "`python tools/public_api.py > docs/public_api.txt`"
    )


def test_a_changed_signature_is_seen(lines, monkeypatch):
    import tfdgm

    def gather(self, indices, order=None):
        """Return rows."""

    monkeypatch.setattr(tfdgm.ArraySource, "gather", gather)
    changed = list(runpy.run_path(str(ROOT / "tools" / "public_api.py"))["lines"]())
    assert set(changed) - set(lines) == {"    gather(self, indices, order=...)"}


def test_every_public_name_has_a_docstring():
    import inspect

    import tfdgm

    values = {name: getattr(tfdgm, name) for name in tfdgm.__all__ if not name.startswith("__")}
    documented = {name for name, value in values.items() if inspect.getdoc(value)}
    assert {name for name, value in values.items() if inspect.isclass(value) or inspect.isfunction(value)} <= documented
