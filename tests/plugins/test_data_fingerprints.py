"""Files of data are recognised when they are copied or compressed, and not when an example changes."""

import shutil

import numpy as np
import pytest
from PIL import Image
from tfdgm_data.digits import Digits
from tfdgm_data.framing import Framing
from tfdgm_data.image_folder import ImageFolder
from tfdgm_data.npz import Npz
from tfdgm_data.ring import Ring
from tfdgm_data.tfds import Records


def fingerprint(data):
    return data.fingerprint(data.splits())


def test_any_value_of_a_large_archive_counts_whether_or_not_it_is_compressed(tmp_path):
    rows = np.zeros((20_000, 256), np.float32)  # 20 MB, of which a sample is read
    labels = np.arange(20_000) % 3
    np.savez(tmp_path / "a.npz", train=rows, train_labels=labels)
    np.savez_compressed(tmp_path / "b.npz", train=rows, train_labels=labels)
    rows[1, 1], labels[1] = 1, 2
    np.savez(tmp_path / "c.npz", train=rows, train_labels=labels)
    first, packed, other = (fingerprint(Npz(path=str(tmp_path / f"{name}.npz")))["train"] for name in "abc")
    assert first == packed
    assert {name for name in first if first[name] != other[name]} == {"checksum", "checksum_labels"}


@pytest.fixture
def images(tmp_path):
    for number in range(12):
        folder = tmp_path / "images" / "train" / f"class-{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9), number, np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "images"


def test_a_folder_of_images_is_recognised_without_decoding_and_a_new_class_is_noticed(images, tmp_path, monkeypatch):
    data = ImageFolder(path=str(images))
    splits = data.splits()  # it reads each file once, to find those that are unreadable
    with monkeypatch.context() as patched:
        patched.setattr(Framing, "read", pytest.fail)
        before = data.fingerprint(splits)
    assert before["train"]["examples"] == 12
    copied = shutil.copytree(images, tmp_path / "copy")
    assert fingerprint(ImageFolder(path=str(copied))) == before
    (copied / "train" / "class-0").rename(copied / "train" / "class-00")  # in the same place of the order
    changed = fingerprint(ImageFolder(path=str(copied)))["train"]
    assert {name for name in changed if changed[name] != before["train"][name]} == {"names"}


@pytest.mark.parametrize("make", [Digits, Ring])
def test_data_that_is_made_has_the_same_fingerprint_each_time(make):
    assert fingerprint(make()) == fingerprint(make())


def test_settings_of_data_that_is_made_change_its_fingerprint():
    assert fingerprint(Ring(sample_seed=1)) != fingerprint(Ring())
    assert fingerprint(Digits(binarization="static"))["train"] != fingerprint(Digits())["train"]


def test_records_are_read_by_sample():
    read = []

    class Stored:
        def __len__(self):
            return 100_000

        def __getitem__(self, index):
            read.append(index)
            return {"image": np.full((2, 2, 1), index % 256, np.uint8), "label": index % 10}

    found = Records(Stored(), ("image", "label"), (2, 2, 1), "here").fingerprint()
    assert found["examples"] == 100_000 and "conditions" in found and len(set(read)) == 64
