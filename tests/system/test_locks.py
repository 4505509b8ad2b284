"""A folder is held by one process; what keeps it from being held is told with its reason."""

import errno
import fcntl
import os

import pytest

from tfdgm import UserError
from tfdgm.system import locks
from tfdgm.system.locks import is_locked, locked


def test_a_folder_is_held_once_and_is_free_after(tmp_path):
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(UserError, match="another process holds"), locked(tmp_path):
            pass
        with locked(tmp_path, enabled=False):
            pass
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        pass


def test_a_link_is_not_followed_and_what_it_points_to_is_not_emptied(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".lock").symlink_to(precious)
    with pytest.raises(UserError, match="symbolic link"), locked(tmp_path):
        pass
    (tmp_path / ".lock").unlink()
    os.link(precious, tmp_path / ".lock")
    with locked(tmp_path):
        assert precious.read_text() == "mine"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(tmp_path, make):
    make(tmp_path / ".lock")
    with pytest.raises(UserError, match=r"\.lock is .*remove it"), locked(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, 38, errno.EIO])
def test_a_file_system_without_locks_is_told_as_that_and_the_cure_is_named(tmp_path, monkeypatch, number):
    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UserError, match=r"cannot lock files: .*--no_lock") as refused, locked(tmp_path):
        pass
    assert os.strerror(number) in str(refused.value) and "another process holds" not in str(refused.value)
    with locked(tmp_path, enabled=False):
        pass


def test_a_system_without_fcntl_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(UserError, match="no file locks"), locked(tmp_path):
        pass
    with locked(tmp_path, enabled=False):
        pass
