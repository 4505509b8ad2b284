"""The cache of compiled programs is private, checked and bounded; a run's results do not depend on it."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from small import command

from tfdgm.system import program_cache
from tfdgm.system.program_cache import Session, Unusable
from tfdgm.system.xla_entry import is_entry

NAME = "xla_compile_cache__5__300__XLA_CPU_JIT.pb"
#: Field 1, the key: numbers 1 = 5 and 2 = 300; field 3: four bytes of a program.
ENTRY = bytes([0x0A, 5, 0x08, 5, 0x10, 0xAC, 0x02, 0x1A, 4]) + b"code"


@pytest.fixture
def base(tmp_path):
    return tmp_path / "a cache"


def compiled(base, name=NAME, content=ENTRY):
    """A session in which XLA wrote an entry, closed."""
    session = Session(base)
    session.link()
    (session.folder / name).write_bytes(content)
    session.close()


def found(base):
    session = Session(base)
    session.link()
    names = sorted(path.name for path in session.folder.glob("*.pb"))
    session.close()
    return names


def stored(base):
    (path,) = (base / program_cache.store_name()).iterdir()
    return path


def test_the_next_process_finds_compiled_programs_in_folders_private_to_the_user(base):
    compiled(base)
    assert found(base) == [NAME]
    assert stored(base).name == f"{NAME[:-3]}.{zlib.crc32(ENTRY):08x}.pb"
    folders = [base, base / program_cache.store_name(), base / "sessions"]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700} and stored(base).stat().st_mode == 0o100600
    assert list((base / "sessions").iterdir()) == []


def flipped(path):
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-2]),
        lambda path: path.write_bytes(os.urandom(3_000)),
        lambda path: path.rename(path.with_name(path.name.replace("__300__", "__301__"))),
        lambda path: path.rename(path.with_name("garbage")),
        lambda path: path.chmod(0o666),
        lambda path: (path.rename(path.parent.parent / "away"), path.symlink_to(path.parent.parent / "away")),
    ],
    ids=["bit", "empty", "cut", "garbage", "other program", "name", "writable", "link"],
)
def test_an_altered_entry_is_removed_and_compiled_again(base, damage):
    compiled(base)
    damage(stored(base))
    assert found(base) == []
    compiled(base)
    assert found(base) == [NAME]


def test_complete_entries_of_a_killed_process_are_adopted(base):
    session = Session(base)
    (session.folder / NAME).write_bytes(ENTRY)
    (session.folder / NAME.replace("300", "301")).write_bytes(ENTRY[:-1])
    (session.folder / "xla.pb.tmp").write_bytes(b"half")
    assert found(base) == []  # the session is held
    session._lock.__exit__(None, None, None)  # as the system does when a process ends
    assert found(base) == [NAME]
    assert list((base / "sessions").iterdir()) == []


def as_file(base):
    base.write_text("a file")


def writable_by_the_group(base):
    base.mkdir(mode=0o700)
    base.chmod(0o770)


def of_another(base):
    base.mkdir(mode=0o700)
    os.chown(base, 4321, -1)


def a_link(base):
    base.with_name("elsewhere").mkdir()
    base.symlink_to(base.with_name("elsewhere"))


@pytest.mark.parametrize("make", [as_file, writable_by_the_group, of_another, a_link])
def test_a_folder_that_is_not_private_is_not_used(base, make):
    if make is of_another and os.geteuid():
        pytest.skip("only root can give a folder away")
    make(base)
    with pytest.raises(Unusable, match="a cache"):
        Session(base)


def test_the_least_recently_used_entries_are_removed_first(base):
    for number, age in ((1, 50), (2, 10), (3, 90)):
        name = NAME.replace("300", str(number))
        compiled(base, name, bytes([0x0A, 4, 0x08, 5, 0x10, number, 0x1A, 4]) + b"code")
        (entry,) = (path for path in (base / program_cache.store_name()).iterdir() if f"__{number}__" in path.name)
        os.utime(entry, (1e9 - age, 1e9 - age))
    program_cache.trim(base / program_cache.store_name(), limit=2 * 12)
    assert found(base) == [NAME.replace("300", "1"), NAME.replace("300", "2")]


def test_xla_only_reads_if_the_disk_is_almost_full(base, monkeypatch):
    monkeypatch.setattr(program_cache, "_FREE_BYTES", 1 << 62)
    session = Session(base)
    assert session.read_only
    session.close()


@pytest.mark.parametrize("content", [ENTRY + b"\x00", ENTRY[:3], b"", b"\xff" * 40, ENTRY[:7], b"\x0b" + ENTRY])
def test_truncated_and_foreign_content_is_not_an_entry(content):
    assert is_entry(NAME, ENTRY) and not is_entry(NAME, content)


def test_the_variable_sets_the_folder_or_disables_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDGM_CACHE", str(tmp_path))
    assert program_cache.root() == tmp_path
    monkeypatch.setenv("TFDGM_CACHE", "off")
    assert program_cache.root() is None
    monkeypatch.delenv("TFDGM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert program_cache.root() == tmp_path / "tfdgm" / "programs"


PROGRAM = """
import sys
from tfdgm.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def run(tmp_path, name, cache, seed=0):
    """Run `tfdgm train` for 20 steps in a new process; return the bytes of its tensors, its scores and its output."""
    from tfdgm.runs.checkpoint_files import newest_intact

    environment = {k: v for k, v in os.environ.items() if k != "TF_XLA_FLAGS"} | {"TFDGM_CACHE": str(cache)}
    bindings = "steps = 20\nexperiment.steps_per_loop = 10\nnetwork.mlp.hidden = (8,)\nexperiment.latent_size = 2"
    bindings += f"\nexperiment.seed = {seed}"
    command = [sys.executable, "-c", PROGRAM, "train", f"--workdir={tmp_path / name}", f"--gin_bindings={bindings}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    checkpoint, _ = newest_intact(tmp_path / name / "checkpoints")
    tensors = {name: value.tobytes() for name, value in checkpoint.tensors.items()}
    scores = (tmp_path / name / "eval.json").read_bytes()
    return tensors, scores, done.stdout + done.stderr


@pytest.mark.slow
def test_weights_and_scores_are_the_same_with_a_cold_warm_damaged_or_no_cache(tmp_path, base):
    *cold, printed = run(tmp_path, "cold", base)
    assert ", 0 read from the cache" in printed
    *warm, printed = run(tmp_path, "warm", base)
    assert "; 0 programs compiled, " in printed and warm == cold
    *other, printed = run(tmp_path, "another seed", base, seed=1)
    assert "; 0 programs compiled, " in printed and other[0] != cold[0]
    for trace in ("checkpoints/step-0000000020.npz", "eval.json"):
        (tmp_path / "warm" / trace).unlink()
    *resumed, printed = run(tmp_path, "warm", base)
    assert "; 0 programs compiled, " in printed and resumed == cold
    for path in Path(base / program_cache.store_name()).iterdir():
        flipped(path)
    *bad, printed = run(tmp_path, "bad", base)
    assert ", 0 read from the cache" in printed and bad == cold
    *none, printed = run(tmp_path, "none", "off")
    assert "from the cache" not in printed and none == cold
    file = tmp_path / "a file"
    file.touch()
    *unusable, printed = run(tmp_path, "unusable", file)
    assert "compiled programs are not cached: " in printed and unusable == cold


def test_the_command_shows_and_clears_the_cache_and_its_flag_wins(base, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TFDGM_CACHE", "off")
    assert command("cache") == 0 and "the cache is off" in capsys.readouterr().out
    compiled(base)
    assert command("cache", f"--cache={base}") == 0
    shown = capsys.readouterr().out
    assert "(this machine)" in shown and "│ 1 " in shown and "a cache" in shown
    assert command("cache", "clear", f"--cache={base}") == 0 and found(base) == []
    assert command("cache", "cleer") == 2 and "Did you mean 'clear'" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert command("cache", "clear", f"--cache={tmp_path / 'file'}") == 2
    assert "file is not a folder" in capsys.readouterr().err


def test_only_an_entry_that_was_read_counts_as_used(base):
    compiled(base)
    os.utime(stored(base), (1e9, 1e9))
    assert found(base) == [NAME]  # linked, but not read
    assert stored(base).stat().st_mtime == 1e9
    session = Session(base)
    session.link()
    os.utime(session.folder / NAME, (2e9, 1e9))  # as a file system does when XLA reads it
    session.close()
    assert stored(base).stat().st_mtime > 1e9
