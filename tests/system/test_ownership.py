"""Folders of other users, and links inside a folder, are refused unless the user trusts them."""

import os

import pytest

from tfdgm import UserError
from tfdgm.system import ownership
from tfdgm.system.ownership import check_ownership


def test_the_users_folder_and_one_that_does_not_exist_pass(tmp_path):
    (tmp_path / "samples").mkdir()
    check_ownership(tmp_path, ["samples", "checkpoints"])
    check_ownership(tmp_path / "new", ["samples"])


def test_a_folder_of_another_user_is_refused_unless_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership.os, "geteuid", lambda: 4321)
    with pytest.raises(UserError, match=rf"belongs to another user \(uid {os.getuid()}\).*--trust_workdir"):
        check_ownership(tmp_path)
    check_ownership(tmp_path, trusted=True)


def test_sudo_accepts_the_callers_folders(tmp_path, monkeypatch):
    if os.geteuid():
        pytest.skip("not root")
    os.chown(tmp_path, 4321, -1)
    monkeypatch.setenv("SUDO_UID", "4321")
    check_ownership(tmp_path)
    monkeypatch.setenv("SUDO_UID", "17")
    with pytest.raises(UserError, match="uid 4321"):
        check_ownership(tmp_path)


def test_the_folder_may_be_a_link_but_its_subfolders_may_not(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "named").symlink_to(tmp_path / "run")
    check_ownership(tmp_path / "named", ["checkpoints"])
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"checkpoints is a symbolic link.*elsewhere"):
        check_ownership(tmp_path / "named", ["checkpoints"])
    check_ownership(tmp_path / "named", ["checkpoints"], trusted=True)


@pytest.mark.parametrize("place", ["run", "run/checkpoints"])
def test_a_file_in_place_of_a_folder_is_refused(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")
    with pytest.raises(UserError, match="not a folder"):
        check_ownership(tmp_path / "run", ["checkpoints"])
