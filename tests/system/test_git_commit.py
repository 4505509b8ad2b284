"""The commit of a folder is described without running programs that its repository configures."""

import os
import subprocess

import pytest

from tfdgm.system import git_commit
from tfdgm.system.git_commit import describe_commit


def git(folder, *arguments):
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "a repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("1")
    (folder / "inside").mkdir()
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_the_commit_is_described_with_whether_files_differ_from_it(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert describe_commit(repository) == describe_commit(repository / "inside") == commit
    (repository / "untracked").touch()
    (repository / "code.py").touch()  # a new time and the same content
    assert describe_commit(repository) == commit
    (repository / "code.py").write_text("2")
    assert describe_commit(repository) == f"{commit}-dirty"


def test_a_linked_work_tree_has_the_commit_of_its_head(repository, tmp_path):
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "branch")
    (tmp_path / "tree" / "code.py").write_text("3")
    git(tmp_path / "tree", "commit", "-qam", "second")
    assert describe_commit(tmp_path / "tree") == git(tmp_path / "tree", "rev-parse", "HEAD")


def test_no_setting_of_the_repository_runs_a_program(repository, tmp_path):
    payload = tmp_path / "payload"
    payload.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\ncat\n")
    payload.chmod(0o755)
    (repository / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "attributes")
    for setting in ("core.fsmonitor", "filter.evil.clean", "filter.evil.process", "diff.evil.textconv", "core.editor",
                    "diff.external", "core.pager", "core.sshCommand", "core.hooksPath"):  # fmt: skip
        git(repository, "config", setting, str(payload))
    (repository / "code.py").write_text("4")
    assert describe_commit(repository) == f"{git(repository, 'rev-parse', 'HEAD')}-dirty"
    assert not (tmp_path / "ran").exists()
    subprocess.run(["git", "status"], cwd=repository, capture_output=True)
    assert (tmp_path / "ran").exists()  # git itself runs it


def test_there_is_no_commit_outside_a_repository_in_another_users_or_before_the_first(
    repository, tmp_path, monkeypatch
):
    assert describe_commit(tmp_path) is None
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert describe_commit(empty) is None
    monkeypatch.setattr(git_commit.os, "geteuid", lambda: 4321)
    assert describe_commit(repository) is None


def test_a_commit_is_unchecked_if_files_cannot_be_compared(repository):
    commit = git(repository, "rev-parse", "HEAD")
    (repository / ".git" / "index").write_bytes(b"no index")
    assert describe_commit(repository) == f"{commit}-unchecked"


def test_without_git_there_is_no_commit(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert describe_commit(repository) is None
