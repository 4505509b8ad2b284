"""A system that is not supported is named in one message, by commands and by `import`."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from small import command
from source_files import ROOT

import tfdgm
from tfdgm.errors import UserError
from tfdgm.system.platforms import check_platform


def test_this_platform_is_supported():
    check_platform()


def test_windows_is_refused_by_every_command_in_one_message(monkeypatch, capsys):
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(sys, "platform", "win32")
    assert command("train") == 2
    message = "tfdgm supports Linux and macOS, not win32; on Windows, install it in WSL 2"
    assert capsys.readouterr().err.startswith(f"tfdgm: {message}")


def test_windows_is_refused_by_the_first_public_name(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.delitem(vars(tfdgm), "Prior", raising=False)
    with pytest.raises(UserError, match="Linux and macOS"):
        tfdgm.Prior  # noqa: B018


def test_the_modules_that_a_command_imports_first_need_no_fcntl(monkeypatch):
    """On Windows, the message comes only if these can be imported."""
    monkeypatch.setitem(sys.modules, "fcntl", None)  # its import fails
    for module in [name for name in sys.modules if name.startswith("tfdgm.system.locks")]:
        spec = importlib.util.find_spec(module)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_the_package_names_the_platforms():
    text = (ROOT / "pyproject.toml").read_text()
    assert '"Operating System :: POSIX :: Linux"' in text and '"Operating System :: MacOS"' in text
    assert "Windows" not in text
    assert "Linux and macOS" in Path(ROOT, "docs/reliability.md").read_text()
