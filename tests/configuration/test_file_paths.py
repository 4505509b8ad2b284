"""Relative paths of data belong to the config file that sets them, or to the current folder."""

from pathlib import Path

import numpy as np
import pytest

from tfdgm.configuration.file_paths import absolute, file_parameters, is_file_path
from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.fingerprint import FilePath
from tfdgm.runs.same_run import differences

CONFIG = """
include "digits/vae.gin"
experiment.data = @data.npz()
experiment.likelihood = @likelihood.gaussian()
"""


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A folder `here`, which is the current one, with a file `x.npz`, and a folder `own` of a config file."""
    for name in ("here", "own"):
        (tmp_path / name).mkdir()
    np.savez(tmp_path / "here" / "x.npz", train=np.zeros((9, 2)))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def path_of(files=(), bindings=(), base=None):
    text = read_config([str(file) for file in files], bindings, base).text
    (line,) = (line for line in text.splitlines() if line.startswith("data.npz.path"))
    return line.partition(" = ")[2], text


@pytest.mark.parametrize("line", ["data.npz.path = 'x.npz'", "file = 'x.npz'\ndata.npz.path = %file"])
@pytest.mark.parametrize("beside", [True, False])
def test_a_path_in_a_file_is_looked_up_beside_the_file_then_in_the_current_folder(folders, line, beside):
    config = folders / "own" / "own.gin"
    config.write_text(f"{CONFIG}\n{line}\n")
    if beside:
        (folders / "own" / "x.npz").touch()
    _, text = path_of([config])
    wanted = folders / ("own" if beside else "here") / "x.npz"
    assert f"= '{wanted}'" in text


def test_an_included_file_has_its_own_folder(folders):
    (folders / "own" / "data.gin").write_text("data.npz.path = 'y.npz'\n")
    (folders / "own" / "y.npz").touch()
    config = folders / "here" / "run.gin"
    config.write_text(f"{CONFIG}\ninclude '../own/data.gin'\n")
    assert path_of([config])[0] == repr(str(folders / "own" / "y.npz"))


def test_a_path_of_a_flag_or_of_a_packaged_config_belongs_to_the_current_folder(folders):
    config = folders / "own" / "own.gin"
    config.write_text(CONFIG)
    (folders / "own" / "x.npz").touch()
    assert path_of([config], ["data.npz.path = 'x.npz'"])[0] == repr(str(folders / "here" / "x.npz"))
    assert path_of(["uci/gas.gin"])[0] == repr(str(folders / "here" / "gas.npz"))


def test_absolute_paths_and_those_of_a_saved_configuration_stay(folders):
    config = folders / "own" / "own.gin"
    config.write_text(f"{CONFIG}\ndata.npz.path = '/data/x.npz'\n")
    _, text = path_of([config])
    assert "data.npz.path = '/data/x.npz'" in text
    old = text.replace("/data/x.npz", "x.npz")
    assert path_of(base=old) == ("'x.npz'", old)


def test_a_path_below_the_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert absolute("~/x.npz", None) == "/home/ada/x.npz"
    assert absolute("", None) == ""


def test_a_folder_whose_name_is_not_utf8_is_left_out(folders, monkeypatch):
    odd = folders / "odd\udcff"
    odd.mkdir()
    monkeypatch.chdir(odd)
    assert absolute("x.npz", None) == "x.npz"


def test_annotations_of_paths():
    assert is_file_path(FilePath) and is_file_path(FilePath | None)
    assert not any(map(is_file_path, (str, str | None, Path, int)))


def test_annotations_that_python_cannot_read_are_no_paths():
    def configurable(*, path: "FilePath", other: "Missing") -> None: ...  # noqa: F821

    assert file_parameters(configurable) == set()

    def readable(*, path: "FilePath | None" = None, size: int = 3) -> None: ...

    assert file_parameters(readable) == {"path"}


def test_moved_data_is_the_same_run_and_other_settings_are_not():
    before = "data.npz.path = '/a/x.npz'\ndata.npz.low = 0.0\n"
    assert differences(before, before.replace("/a/", "/b/")) == []
    long = before.replace("'/a/x.npz'", "\\\n    ('/a/x'\n     'y.npz')")
    assert differences(before, long) == []
    assert differences(before, before.replace("0.0", "1.0")) != []
    assert differences(before, before.replace("data.npz.path", "prior.other.path")) != []
