"""Nothing that lies in the current folder is imported by a process that tfdgm starts, or by `python -m tfdgm`."""

import subprocess
import sys

import pytest

from tfdgm.system.processes import python_command

#: Modules of the standard library and of tfdgm's dependencies that its commands import.
MODULES = ("random", "queue", "rich", "typing", "signal", "difflib", "platformdirs", "tfdgm_priors", "sitecustomize")


@pytest.fixture
def folder(tmp_path):
    """A current folder of somebody's making: modules that leave a mark, and what looks like an installed plugin."""
    for module in MODULES:
        (tmp_path / f"{module}.py").write_text("open('imported', 'a').close()\nraise RuntimeError('my own module')\n")
    package = tmp_path / "evil-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[tfdgm.prior]\nevil = random:Evil\n")
    return tmp_path


@pytest.mark.parametrize("command", [python_command("tfdgm"), [sys.executable, "-m", "tfdgm"]], ids=["child", "-m"])
@pytest.mark.parametrize("arguments", [["--version"], ["plugins"]], ids=["version", "plugins"])
def test_the_current_folder_is_not_on_the_path(folder, command, arguments):
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "evil" not in done.stdout and not (folder / "imported").exists()
