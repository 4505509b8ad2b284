"""One process holds a folder's lock; a lock that cannot be taken is refused with the reason."""

import errno
import fcntl
import os

import pytest

from tfdgm import UserError
from tfdgm.system import locks
from tfdgm.system.locks import is_locked, locked


def test_a_folder_is_locked_once_and_released_after(tmp_path):
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


def test_a_link_is_not_followed_and_a_hard_links_content_is_kept(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("unchanged")
    (tmp_path / ".lock").symlink_to(precious)
    with pytest.raises(UserError, match="symbolic link"), locked(tmp_path):
        pass
    (tmp_path / ".lock").unlink()
    os.link(precious, tmp_path / ".lock")
    with locked(tmp_path):
        assert precious.read_text() == "unchanged"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_pipe_is_refused(tmp_path, make):
    make(tmp_path / ".lock")
    with pytest.raises(UserError, match=r"\.lock is .*remove it"), locked(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, 38, errno.EIO])
def test_a_file_system_without_locks_is_refused_with_the_remedy(tmp_path, monkeypatch, number):
    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UserError, match=r"cannot lock files: .*--no_lock") as refused, locked(tmp_path):
        pass
    assert os.strerror(number) in str(refused.value) and "another process holds" not in str(refused.value)
    with locked(tmp_path, enabled=False):
        pass


def test_a_system_without_fcntl_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(UserError, match="no file locks"), locked(tmp_path):
        pass
    with locked(tmp_path, enabled=False):
        pass
