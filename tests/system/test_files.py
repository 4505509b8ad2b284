"""Files are replaced atomically, no link is followed, and only regular files are read."""

import os
import stat

import pytest

from tfdgm.system.files import open_regular, read_bytes, remove_leftovers, replacing, replacing_folder, write_text


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path):
    path = tmp_path / "scores"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"ne")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    assert write_text(path, "n\u00e9w \udcff").read_bytes() == "n\u00e9w \\udcff".encode()


def test_a_link_of_the_name_is_replaced_and_its_target_is_unchanged(tmp_path):
    precious, path = tmp_path / "precious", tmp_path / "run.json"
    precious.write_text("unchanged")
    path.symlink_to(precious)
    write_text(path, "{}")
    assert precious.read_text() == "unchanged" and not path.is_symlink() and path.read_text() == "{}"


def test_the_temporary_file_is_created_exclusively(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda size: "guess")
    precious = tmp_path / "precious"
    precious.write_text("unchanged")
    (tmp_path / ".run.json.guess.tmp").symlink_to(precious)
    with pytest.raises(OSError):
        write_text(tmp_path / "run.json", "{}")
    assert precious.read_text() == "unchanged"


def test_new_files_get_the_permissions_of_the_users_umask(tmp_path):
    before = os.umask(0o027)
    try:
        assert stat.S_IMODE(write_text(tmp_path / "a", "").stat().st_mode) == 0o640
    finally:
        os.umask(before)


def test_a_folder_appears_when_complete_and_an_interrupted_attempt_is_removed(tmp_path):
    output = tmp_path / "export"
    (tmp_path / ".export.0123.tmp").mkdir()
    (tmp_path / ".export.0123.tmp" / "half").touch()
    with replacing_folder(output) as folder:
        (folder / "model").write_text("whole")
        assert not output.exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["export", "model"]
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "other"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    with pytest.raises(OSError), replacing_folder(output):
        pass
    assert (output / "model").read_text() == "whole"


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    for name in (".a.0.tmp", "a.tmp", ".hidden", ".b.0.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.0.tmp", ".hidden", "a.tmp"]
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "a.tmp"]
    remove_leftovers(tmp_path / "none")


def test_only_regular_files_are_opened_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(OSError):
            open_regular(path)
    (tmp_path / "file").write_bytes(b"content")
    assert read_bytes(tmp_path / "file") == b"content"
