"""Fingerprints tell any two data sets apart that differ in what they sample, and none that are copies."""

import os
import shutil

import numpy as np
import pytest

from tfdgm import ArraySource, ConditionSpec, Source, fingerprint_files
from tfdgm.model.packing import Conditioned

ROWS = np.random.RandomState(0).randn(50, 3).astype(np.float32)


class Counting(Source):
    """Rows that count how many of them are gathered."""

    def __init__(self, size, shape=(2,)):
        self.size, self.shape, self.dtype, self.gathered = size, shape, np.float32, 0

    def __len__(self):
        return self.size

    def gather(self, indices):
        self.gathered += len(indices)
        return np.zeros((len(indices), *self.shape), self.dtype) + indices[:, None]


def test_every_row_of_a_small_array_counts():
    whole = ArraySource(ROWS).fingerprint()
    assert whole["examples"] == 50 and whole["shape"] == [3] and whole["dtype"] == "f4"
    for row in range(50):
        changed = ROWS.copy()
        changed[row, 1] = np.nextafter(changed[row, 1], np.float32(np.inf))
        other = ArraySource(changed).fingerprint()
        assert [name for name in whole if whole[name] != other[name]] == ["content"]


def test_order_length_dtype_and_shape_count():
    found = [ROWS, ROWS[::-1], ROWS[:-1], ROWS.astype(np.float64), ROWS.reshape(50, 3, 1)]
    assert len({str(ArraySource(rows).fingerprint()) for rows in found}) == len(found)


def test_the_order_of_bytes_and_strides_do_not_count():
    for same in (ROWS.astype(">f4"), np.asfortranarray(ROWS), np.repeat(ROWS, 2, axis=1)[:, ::2]):
        assert ArraySource(same).fingerprint() | {"dtype": ""} == ArraySource(ROWS).fingerprint() | {"dtype": ""}


def test_labels_count_whether_or_not_the_run_uses_them():
    labels = np.arange(50) % 4
    plain, labelled = ArraySource(ROWS), ArraySource(ROWS, labels)
    assert labelled.fingerprint() == plain.fingerprint() | {"conditions": labelled.fingerprint()["conditions"]}
    assert ArraySource(ROWS, labels[::-1].copy()).fingerprint() != labelled.fingerprint()
    assert Conditioned(labelled, ConditionSpec(categories=4)).fingerprint() == labelled.fingerprint()


def test_large_sources_are_sampled():
    source = Counting(1_000_000)
    assert source.fingerprint()["examples"] == 1_000_000 and source.gathered == 64
    rows = np.zeros((40_000, 1_000), np.float32)  # 160 MB, untouched pages take no memory
    content = ArraySource(rows).fingerprint()["content"]
    rows[-1] = 1  # the first and the last row are among those that are read
    assert ArraySource(rows).fingerprint()["content"] != content


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() * 40_000)
    return root


def of(root):
    return fingerprint_files(sorted(root.rglob("*.png")))


def test_a_copy_of_files_elsewhere_and_later_has_the_same_fingerprint(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "deep" / "copy")
    os.utime(copied / "a" / "1.png", (1, 1))
    assert of(copied) == of(folder)


def test_names_sizes_and_contents_of_files_count(folder):
    before = of(folder)
    (folder / "a" / "1.png").rename(folder / "a" / "0.png")
    assert [name for name in before if before[name] != of(folder)[name]] == ["names"]
    (folder / "a" / "0.png").rename(folder / "a" / "1.png")
    content = bytearray((folder / "b" / "3.png").read_bytes())
    for place in (0, -1):
        changed = content.copy()
        changed[place] ^= 1
        (folder / "b" / "3.png").write_bytes(changed)
        assert [name for name in before if before[name] != of(folder)[name]] == ["content"]
    (folder / "b" / "3.png").write_bytes(content[:-1])
    assert of(folder)["sizes"] != before["sizes"]
    (folder / "b" / "3.png").unlink()
    assert of(folder)["examples"] == 2


def test_the_beginnings_and_ends_of_a_small_file_do_not_overlap(tmp_path):
    (tmp_path / "short.png").write_bytes(b"abc")
    assert fingerprint_files([tmp_path / "short.png"])["examples"] == 1
