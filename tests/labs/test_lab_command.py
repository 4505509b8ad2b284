"""`tfdgm lab`: its list, its files, its errors, and its exit codes."""

import csv
import subprocess
import sys
from types import ModuleType

import pytest
from small import command

from tfdgm.cli import lab as lab_command
from tfdgm.configuration.config_files import config_root
from tfdgm.labs import LABS
from tfdgm.labs.figures import slide
from tfdgm.labs.lab import LabResult, load_lab, near


def fake_lab(got):
    """Return a lab with the result `got`, which should be 1."""
    module = ModuleType("fake")
    module.__doc__ = "What a fake shows.\n\nA second paragraph, with 1 < 2."

    def run(settings):
        figure = slide()
        figure.add_subplot().plot([0, settings.seed])
        rows = [{"step": 1, "value": float(got)}, {"step": 2, "other": "a, b"}]
        return LabResult(rows, figure, [near("the value", got, 1.0, 0.1)])

    module.run = run
    return module


@pytest.fixture
def fakes(monkeypatch):
    """Replace all labs by two: the check of one passes, that of the other fails."""
    for name in list(LABS):
        monkeypatch.delitem(LABS, name)
    for name, got in (("right", 1.05), ("off", 2.0)):
        monkeypatch.setitem(LABS, name, f"a lab that is {name}")
        monkeypatch.setitem(sys.modules, f"tfdgm.labs.{name}", fake_lab(got))


def test_without_a_name_the_labs_are_listed(capsys):
    assert command("lab") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(LABS)
    assert len(LABS) == 11


def test_listing_does_not_import_tensorflow():
    code = "import sys; from tfdgm.cli.main import main; main(['lab']); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize("name", LABS)
def test_every_lab_has_a_module_with_an_explanation(name):
    lab = load_lab(name)
    assert len(lab.text) > 200 and callable(lab.run)


def test_the_configs_of_labs_are_packaged_and_name_a_lab_that_exists():
    files = sorted((config_root() / "lecture").rglob("*.gin"))
    assert len(files) > 10
    for file in files:
        (line,) = (line for line in file.read_text().splitlines() if line.startswith("# Command:"))
        assert line.removeprefix("# Command:").split()[:2] == ["tfdgm", "lab"] and line.split()[-1] in LABS


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["mode_coverin"], "Did you mean 'mode_covering'"),
        (["--all", "mode_covering"], "one NAME, or --all"),
        (["mode_covering", "prior_gap"], "one NAME, or --all"),
        (["mode_covering", "--seed=-1"], "--seed must be in"),
    ],
)
def test_a_user_error_is_reported_in_one_line_with_exit_code_2(arguments, expected, capsys):
    assert command("lab", *arguments) == 2
    message = capsys.readouterr().err
    assert expected in message and message.count("\n") == 1


def test_an_output_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert command("lab", "earth_mover", f"--output={tmp_path / 'taken'}") == 2
    assert "is a file, not a folder" in capsys.readouterr().err


def test_a_lab_writes_its_table_and_its_picture(fakes, tmp_path):
    assert command("lab", "right", "--check", f"--output={tmp_path / 'new' / 'folder'}") == 0
    with open(tmp_path / "new" / "folder" / "right.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"step": "1", "value": "1.05", "other": ""}, {"step": "2", "value": "", "other": "a, b"}]
    assert (tmp_path / "new" / "folder" / "right.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 2


def test_a_failed_check_exits_with_1_only_with_the_flag(fakes, tmp_path, capsys):
    assert command("lab", "off", f"--output={tmp_path}") == 0
    assert command("lab", "off", "--check", f"--output={tmp_path}") == 1
    assert "not as expected: off: the value" in capsys.readouterr().err


def test_the_page_of_all_labs_has_every_picture_text_and_check(fakes, tmp_path):
    assert command("lab", "--all", "--check", f"--output={tmp_path}") == 1
    page = (tmp_path / "index.html").read_text()
    for text in (
        "a lab that is right",
        "a lab that is off",
        "1 &lt; 2",
        '<td class="off">OFF</td>',
        "right.csv",
        "off.png",
    ):
        assert text in page, text
    assert page.count("data:image/png;base64,") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"right.csv", "right.png", "off.csv", "off.png", "index.html"}


def test_flags_of_the_command_reach_the_lab(fakes, monkeypatch, tmp_path):
    seen = []
    module = sys.modules["tfdgm.labs.right"]
    monkeypatch.setattr(module, "run", lambda settings: seen.append(settings) or fake_lab(1.0).run(settings))
    command("lab", "right", "--seed=5", "--gin_bindings=steps = 3", f"--output={tmp_path}")
    assert (seen[0].seed, list(seen[0].bindings)) == (5, ["steps = 3"])
    assert not seen[0].folder.exists()  # scratch space goes


def test_a_lab_restores_the_settings_of_matplotlib(fakes, tmp_path):
    import matplotlib

    before = matplotlib.rcParams["font.size"]
    command("lab", "right", f"--output={tmp_path}")
    assert matplotlib.rcParams["font.size"] == before
    assert lab_command.POSITIONAL
