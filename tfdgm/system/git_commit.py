"""Describe the git commit of a folder without executing programs that its repository configures.

A repository's settings can name programs that git runs: `core.fsmonitor`, filters in its attributes, those of its
submodules. Git therefore compares the files from a new, empty repository that borrows the original's objects, index and
head, and of its settings only a few that cannot run programs.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_SECONDS = 5.0
#: Settings that affect the comparison of files and cannot run programs.
_HARMLESS = ("core.filemode", "core.symlinks", "core.ignorecase", "core.autocrlf", "core.eol", "core.precomposeunicode")


def describe_commit(folder: Path) -> str | None:
    """Return the current commit of a folder's repository.

    Returns:
      The hash, followed by "-dirty" if tracked files differ from it, or by "-unchecked" if the comparison failed; None
      outside a repository, in a repository of another user, and without git.
    """
    root = find_repository(folder)
    if root is None:
        return None
    try:
        (git_dir, common, commit, objects) = _run(
            ["rev-parse", "--absolute-git-dir", "--git-common-dir", "HEAD", "--show-object-format"], root
        ).splitlines()
        git_dir, common = str(root / git_dir), str(root / common)
        if not all(_is_ours(Path(path)) for path in (git_dir, common)):
            return None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    try:
        return commit + ("-dirty" if _differs(root, Path(git_dir), Path(common), commit, objects) else "")
    except (OSError, subprocess.SubprocessError):
        return f"{commit}-unchecked"


def find_repository(folder: Path) -> Path | None:
    """Return the nearest parent with a `.git`, or None if it or its `.git` belongs to another user."""
    folder = folder.resolve()
    for root in (folder, *folder.parents):
        if (root / ".git").exists():
            return root if _is_ours(root) and _is_ours(root / ".git") else None
    return None


def _is_ours(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid()


def _differs(root: Path, git_dir: Path, common: Path, commit: str, objects: str) -> bool:
    """Return whether tracked files of a work tree differ from a commit; submodules, repositories too, are ignored."""
    with tempfile.TemporaryDirectory(prefix="tfdgm-git-") as scratch:
        bare = Path(scratch) / "git"
        _run(["init", "--quiet", "--bare", "--template=", f"--object-format={objects}", str(bare)], root)
        for setting in _settings(root, common):
            _run(["--git-dir", str(bare), "config", *setting], root)
        (bare / "objects" / "info").mkdir(exist_ok=True)
        (bare / "objects" / "info" / "alternates").write_text(f"{common / 'objects'}\n", encoding="utf-8")
        shutil.copyfile(git_dir / "index", bare / "index")
        for shared in git_dir.glob("sharedindex.*"):
            shutil.copyfile(shared, bare / shared.name)
        place = [
            "--git-dir",
            str(bare),
            "--work-tree",
            str(root),
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.bare=false",
        ]
        ignoring = "--ignore-submodules"
        _run([*place, "update-index", "-q", "--refresh", ignoring], root, accepted=(0, 1))
        compared = _git([*place, "diff-index", "--quiet", f"{ignoring}=all", commit, "--"], root)
        if compared.returncode > 1:
            raise subprocess.CalledProcessError(compared.returncode, "git")
        return compared.returncode == 1


def _settings(root: Path, common: Path) -> list[list[str]]:
    """Return the harmless settings in a repository's config file as (name, value)."""
    names = "|".join(_HARMLESS).replace(".", r"\.")
    arguments = ["config", "--file", str(common / "config"), "--no-includes", "--get-regexp", f"^({names})$"]
    return [line.split(" ", 1) for line in _run(arguments, root, accepted=(0, 1)).splitlines() if " " in line]


def _run(arguments: Sequence[str], folder: Path, accepted: Sequence[int] = (0,)) -> str:
    done = _git(arguments, folder)
    if done.returncode not in accepted:
        raise subprocess.CalledProcessError(done.returncode, "git")
    return done.stdout


def _git(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess:
    """Run git without environment variables that redirect it, and without fetching missing objects."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, encoding="utf-8", errors="surrogateescape", timeout=_SECONDS,
    )  # fmt: skip
