"""Checkpoints under damage, full disks and crashes."""

import errno
import io
import os
import pickle

import numpy as np
import pytest

from tfdgm import UserError
from tfdgm.errors import NonFiniteError
from tfdgm.runs import checkpoint_files as module
from tfdgm.runs.checkpoint_files import Checkpoint, DamagedCheckpoint, read
from tfdgm.runs.checkpoints import Checkpoints


def tensors(step):
    random = np.random.RandomState(step)
    return {
        "step": np.int64(step),
        "model/kernel": random.randn(40, 8).astype(np.float32),
        "scalar": np.float32(random.randn()),
        "codes": random.randint(0, 9, 5),
        "flags": np.array([True, False]),
    }


@pytest.fixture
def saved(tmp_path):
    """Checkpoints of steps 10, 20 and 30, and the list of warnings."""
    messages = []
    checkpoints = Checkpoints(tmp_path / "checkpoints", warn=messages.append)
    for step in (10, 20, 30):
        checkpoints.save(Checkpoint(step, tensors(step)))
    return checkpoints, messages


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def cut_the_last_byte(path):
    path.write_bytes(path.read_bytes()[:-1])


def write_garbage(path):
    path.write_bytes(os.urandom(2000))


def flip(position):
    def damage(path):
        content = bytearray(path.read_bytes())
        at = content.find(np.asarray(tensors(30)["model/kernel"]).tobytes()) + position
        content[at] ^= 0x10
        path.write_bytes(bytes(content))

    damage.__name__ = f"flip_a_bit_at_{position}"
    return damage


def exchange_a_tensor(path):
    """A well-formed file with a tensor that does not match its checksum."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["model/kernel"] = arrays["model/kernel"] + 1
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def drop_a_tensor(path):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "codes"}
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGE = [
    truncate, empty, cut_the_last_byte, write_garbage, flip(0), flip(700), exchange_a_tensor, drop_a_tensor,
    replace_by_a_folder,
]  # fmt: skip


def assert_is(checkpoint, step):
    assert checkpoint.step == step
    expected = tensors(step)
    assert set(checkpoint.tensors) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(checkpoint.tensors[name], value)
        assert checkpoint.tensors[name].dtype == np.asarray(value).dtype


def test_a_checkpoint_is_read_as_it_was_written(saved):
    checkpoints, messages = saved
    assert_is(checkpoints.latest(), 30)
    assert messages == []


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_newest_checkpoint_is_skipped_with_a_warning(saved, damage):
    checkpoints, messages = saved
    damage(checkpoints.path(30))
    assert_is(checkpoints.latest(), 20)
    assert "step-0000000030.npz" in messages[0]
    assert "continuing from step 20" in messages[-1]


def test_two_damaged_checkpoints_are_skipped(saved):
    checkpoints, messages = saved
    truncate(checkpoints.path(30))
    empty(checkpoints.path(20))
    assert_is(checkpoints.latest(), 10)
    assert len(messages) == 3


def test_training_does_not_start_at_zero_if_every_checkpoint_is_damaged(saved):
    checkpoints, _ = saved
    for step in (10, 20, 30):
        truncate(checkpoints.path(step))
    with pytest.raises(UserError, match=r"every checkpoint in .* is damaged"):
        checkpoints.latest()


def test_no_checkpoint_is_none_and_not_an_error(tmp_path):
    assert Checkpoints(tmp_path / "nowhere").latest() is None
    assert Checkpoints(tmp_path).latest() is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_never_written(saved, bad):
    checkpoints, _ = saved
    broken = tensors(40)
    broken["model/kernel"][3, 4] = bad
    before = sorted(checkpoints.directory.iterdir())
    with pytest.raises(NonFiniteError, match="model/kernel is not finite at step 40"):
        checkpoints.save(Checkpoint(40, broken))
    assert sorted(checkpoints.directory.iterdir()) == before


def test_only_the_newest_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3, 10_000_000_000):  # eleven digits sort after ten
        checkpoints.save(Checkpoint(step, tensors(1)))
    assert checkpoints.steps() == [3, 10_000_000_000]


def test_only_temporary_files_of_interrupted_writes_are_removed(saved):
    checkpoints, _ = saved
    left = checkpoints.directory / ".step-0000000040.npz.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    unrelated = checkpoints.directory / "notes.txt"
    unrelated.write_text("unrelated")
    checkpoints.clean()
    assert not left.exists() and unrelated.exists()
    assert checkpoints.steps() == [10, 20, 30]


@pytest.mark.parametrize("place", ["savez", "fsync", "replace"])
def test_a_full_disk_leaves_older_checkpoints_and_no_temporary_file(saved, monkeypatch, place):
    checkpoints, _ = saved
    before = {path.name: path.read_bytes() for path in checkpoints.directory.iterdir()}

    def full(*arguments, **named):
        if place == "savez":
            arguments[0].write(b"some bytes, then")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*{"savez": (np, "savez"), "fsync": (os, "fsync"), "replace": (os, "replace")}[place], full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(Checkpoint(40, tensors(40)))
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in checkpoints.directory.iterdir()} == before
    assert_is(checkpoints.latest(), 30)


def test_files_of_other_names_are_not_checkpoints(saved):
    checkpoints, messages = saved
    for name in ("checkpoint", "step-99.npz", "step-0000000099.npz.bak", "step-0000000099.txt"):
        (checkpoints.directory / name).write_bytes(b"garbage")
    assert_is(checkpoints.latest(), 30)
    assert messages == []


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_reading_never_unpickles(tmp_path):
    trace = tmp_path / "executed"
    objects = np.empty(1, object)
    objects[0] = Trap(str(trace))
    path = tmp_path / "step-0000000010.npz"
    with open(path, "wb") as file:
        np.savez(file, **{"manifest.json": np.frombuffer(b"{}", np.uint8), "model": objects})
    with pytest.raises(DamagedCheckpoint):
        read(path)
    assert not trace.exists()
    with np.load(path, allow_pickle=True) as archive:
        archive["model"]
    assert trace.exists()  # the trap works if pickles are allowed


def test_a_bare_pickle_with_a_checkpoints_name_is_damaged_and_not_executed(tmp_path):
    trace = tmp_path / "executed"
    path = tmp_path / "step-0000000010.npz"
    path.write_bytes(pickle.dumps(Trap(str(trace))))
    with pytest.raises(DamagedCheckpoint):
        read(path)
    assert not trace.exists()


def test_a_checkpoint_of_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 2)
    path = Checkpoints(tmp_path).save(Checkpoint(5, tensors(5)))
    monkeypatch.undo()
    with pytest.raises(DamagedCheckpoint, match="format 2; this version reads 1"):
        read(path)


def test_a_manifest_that_is_not_json_is_damage(tmp_path):
    path, buffer = tmp_path / "step-0000000010.npz", io.BytesIO()
    np.savez(buffer, **{"manifest.json": np.frombuffer(b"\xff\xfe{", np.uint8)})
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DamagedCheckpoint):
        read(path)


@pytest.mark.parametrize("manifest", [b"[]", b"null", b'{"sha256": [], "format": 1, "step": 1}', b'"text"'])
def test_a_manifest_of_another_shape_is_damage(tmp_path, manifest):
    path = tmp_path / "step-0000000010.npz"
    with open(path, "wb") as file:
        np.savez(file, **{"manifest.json": np.frombuffer(manifest, np.uint8), "w": np.zeros(2)})
    with pytest.raises(DamagedCheckpoint):
        read(path)


def test_a_folder_in_place_of_a_checkpoint_is_moved_aside(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    (checkpoints.path(5) / "notes").mkdir(parents=True)
    checkpoints.save(Checkpoint(5, tensors(5)))
    assert checkpoints.at(5).step == 5
    (moved,) = tmp_path.glob("step-0000000005.npz.moved-*")
    assert (moved / "notes").is_dir()


def test_the_best_checkpoint_survives_a_crash_between_the_two_writes(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(Checkpoint(200, tensors(200), score=-35.07))
    write = module.write

    def die_after_the_first(path, checkpoint):
        write(path, checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr("tfdgm.runs.checkpoints.write", die_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(Checkpoint(300, tensors(300), score=-34.22))
    assert (checkpoints.best().step, checkpoints.best().score) == (300, -34.22)
    assert checkpoints.latest().step == 200  # step 300 is repeated, and its score does not exceed the best one
