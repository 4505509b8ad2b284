"""MNIST, Fashion-MNIST and CIFAR-10 in the formats of Keras: small files, written here. Nothing is downloaded."""

import gzip
import pickle
import struct

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import context
from tfdgm_data.cifar10 import CIFAR10
from tfdgm_data.fashion_mnist import FashionMNIST
from tfdgm_data.mnist import MNIST

from tfdgm import UserError

RANDOM = np.random.RandomState(0)
GREY = RANDOM.randint(0, 256, (30, 28, 28)).astype(np.uint8), RANDOM.randint(0, 10, 30).astype(np.uint8)
GREY_TEST = RANDOM.randint(0, 256, (7, 28, 28)).astype(np.uint8), RANDOM.randint(0, 10, 7).astype(np.uint8)
COLOUR = RANDOM.randint(0, 256, (20, 32, 32, 3)).astype(np.uint8), RANDOM.randint(0, 10, 20)
COLOUR_TEST = RANDOM.randint(0, 256, (4, 32, 32, 3)).astype(np.uint8), RANDOM.randint(0, 10, 4)
FASHION_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array):
    """The bytes of an IDX file: the magic number 0x0800 + number of axes, and big-endian lengths (LeCun 1998)."""
    return struct.pack(f">i{array.ndim}i", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def idx_folder(folder, packed=True):
    for name, array in zip(FASHION_IDX, (*GREY, *GREY_TEST), strict=True):
        (folder / f"{name}{'.gz' * packed}").write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return folder


def npz(folder, names=("x_train", "y_train", "x_test", "y_test"), examples=(GREY, GREY_TEST)):
    arrays = (array for pair in examples for array in pair)
    np.savez(folder / "images.npz", **dict(zip(names, arrays, strict=True)))
    return folder / "images.npz"


def batches(folder):
    """Five training batches and one for testing, pickled by Python 2's protocol with planes of colour."""
    images, labels = COLOUR
    parts = {f"data_batch_{n + 1}": (images[4 * n : 4 * n + 4], labels[4 * n : 4 * n + 4]) for n in range(5)}
    for name, (x, y) in (parts | {"test_batch": COLOUR_TEST}).items():
        planes = x.transpose(0, 3, 1, 2).reshape(len(x), 3072)
        content = {b"data": planes, b"labels": [int(label) for label in y], b"batch_label": name.encode()}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder


def is_data(data, train, test, num_validation):
    """Check the splits of data without binarization."""
    splits = data.splits()
    first = len(train[0]) - num_validation
    expected = {"train": (train[0][:first], train[1][:first]), "test": test}
    if num_validation:
        expected["validation"] = train[0][first:], train[1][first:]
    assert set(splits) == set(expected)
    for name, (images, labels) in expected.items():
        everything = np.arange(len(images))
        rows = splits[name].gather(everything)
        np.testing.assert_array_equal(rows, images.reshape(-1, *data.spec.shape))
        np.testing.assert_array_equal(splits[name].conditions(everything), labels)
        assert rows.dtype == np.uint8 and splits[name].conditions(everything).dtype == np.int32
        x = data.observe(tf.constant(rows), context())
        np.testing.assert_allclose(x, rows / 255, rtol=1e-6)  # float32


@pytest.mark.parametrize("data", [MNIST, FashionMNIST])
@pytest.mark.parametrize("num_validation", [0, 5])
def test_a_file_in_either_naming_and_a_folder_packed_or_not_give_the_images(tmp_path, data, num_validation):
    paths = [npz(tmp_path), idx_folder(tmp_path)]
    for name, make in {
        "ours": lambda folder: npz(folder, ("train", "train_labels", "test", "test_labels")),
        "unpacked": lambda folder: idx_folder(folder, packed=False),
    }.items():
        (tmp_path / name).mkdir()
        paths.append(make(tmp_path / name))
    for path in paths:
        found = data(path=str(path), num_validation=num_validation)
        is_data(found, GREY, GREY_TEST, num_validation)
        assert (found.spec.shape, found.spec.image_shape, found.spec.levels) == ((28, 28, 1), (28, 28), 256)
        assert found.spec.condition.categories == 10 and found.describe()["source"] == str(path)


def test_the_batches_of_cifar_give_the_images(tmp_path):
    data = CIFAR10(path=str(batches(tmp_path)), num_validation=3)
    is_data(data, COLOUR, COLOUR_TEST, 3)
    assert data.spec.shape == data.spec.image_shape == (32, 32, 3)
    assert data.spec.condition.names[3] == "cat"
    column = npz(tmp_path, examples=((COLOUR[0], COLOUR[1][:, None]), (COLOUR_TEST[0], COLOUR_TEST[1][:, None])))
    is_data(CIFAR10(path=str(column), num_validation=3), COLOUR, COLOUR_TEST, 3)  # labels as Keras returns them


@pytest.mark.parametrize(
    "data, name, examples",
    [
        (MNIST, "mnist", (GREY, GREY_TEST)),
        (FashionMNIST, "fashion_mnist", (GREY, GREY_TEST)),
        (CIFAR10, "cifar10", (COLOUR, COLOUR_TEST)),
    ],
)
def test_without_a_path_keras_is_asked(monkeypatch, data, name, examples):
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: examples)
    found = data(num_validation=2)
    is_data(found, *examples, 2)
    assert found.describe()["source"] == "keras.datasets"

    def unreachable():
        raise Exception("URL fetch failure on https://x: None -- [Errno -2]\nName or service not known")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", unreachable)
    with pytest.raises(UserError, match=r"could not download .*not known\. Start once where there is a network, or "):
        data()
    with pytest.raises(UserError, match=r'path = "\.\.\.", for a \.npz file with the arrays x_train, .* or a folder'):
        data()


@pytest.mark.parametrize("binarization, fixed", [("static", {"train", "validation", "test"}), ("dynamic", {"test"})])
def test_pixels_are_made_binary_as_documented(tmp_path, binarization, fixed):
    data = MNIST(path=str(npz(tmp_path)), num_validation=5, binarization=binarization)
    assert (data.spec.levels, data.spec.binarized) == (2, binarization)
    grey = {"train": GREY[0][:25], "validation": GREY[0][25:], "test": GREY_TEST[0]}
    for name in fixed:
        seed = {"test": 1, "validation": 2, "train": 3}[name]
        expected = [
            np.random.Generator(np.random.Philox(key=[seed, row])).random((28, 28, 1)) < image[..., None] / 255
            for row, image in enumerate(grey[name])
        ]
        source = data.splits()[name]
        np.testing.assert_array_equal(source.gather(np.arange(len(source))), 255 * np.array(expected, np.uint8))
        assert data.describe()[f"binarization_{name}"].startswith("static: Philox(")
        assert len(source.conditions(np.arange(len(source)))) == len(source)
    x = data.observe(tf.constant(data.splits()["train"].gather(np.arange(25))), context()).numpy()
    assert set(np.unique(x)) == {0.0, 1.0}


@pytest.mark.parametrize(
    "arrays, expected",
    [
        ({"x_train": GREY[0][:, 1:]}, r"the training images must be bytes of shape \[examples, 28, 28\], got uint8"),
        ({"x_test": GREY_TEST[0] / 255}, r"the test images must be bytes .* got float64 \[7, 28, 28\]"),
        ({"y_train": GREY[1][1:]}, "there are 30 of the training images, but 29 labels"),
        ({"y_test": GREY_TEST[1] + 5}, r"labels of the test images must be integers in 0\.\.9"),
        ({"y_test": GREY_TEST[1] / 2}, r"labels of the test images must be integers in 0\.\.9"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, expected):
    whole = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*GREY, *GREY_TEST), strict=True))
    np.savez(tmp_path / "a.npz", **(whole | arrays))
    with pytest.raises(UserError, match=expected):
        MNIST(path=str(tmp_path / "a.npz"), num_validation=1)


def test_the_number_of_validation_examples_is_checked(tmp_path):
    path = str(npz(tmp_path))
    with pytest.raises(UserError, match="num_validation must be less than 30, the number of training examples, got 30"):
        MNIST(path=path, num_validation=30)
    with pytest.raises(UserError, match="num_validation must not be negative, got -1"):
        MNIST(path=path, num_validation=-1)


def refused(data, path):
    with pytest.raises(UserError) as raised:
        data(path=str(path), num_validation=1)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    return str(raised.value)


def test_missing_and_foreign_files_are_refused(tmp_path):
    assert "file or folder not found" in refused(MNIST, tmp_path / "nowhere")
    (tmp_path / "table.csv").write_text("1,2\n3,4\n")
    assert "is not a .npz file" in refused(MNIST, tmp_path / "table.csv")
    np.savez(tmp_path / "other.npz", x_train=GREY[0], x_test=GREY_TEST[0])
    assert "has no array 'y_train', 'y_test'" in refused(MNIST, tmp_path / "other.npz")
    assert "train-images-idx3-ubyte is missing; the folder has to hold train-images" in refused(MNIST, tmp_path)
    assert "data_batch_1 is missing; the folder has to hold data_batch_1, data_batch_2" in refused(CIFAR10, tmp_path)


@pytest.mark.parametrize("length", [0, 3, 10, 1_000])
def test_damaged_files_are_refused(tmp_path, length):
    folders = {MNIST: idx_folder, FashionMNIST: lambda folder: idx_folder(folder, packed=False), CIFAR10: batches}
    for data, make in folders.items():
        folder = tmp_path / data.__name__
        folder.mkdir()
        make(folder)
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes()[:length])
        assert f"{folder} cannot be read: " in refused(data, folder)
    archive = npz(tmp_path)
    content = bytearray(archive.read_bytes())
    content[5_000] ^= 1
    archive.write_bytes(content)
    assert "Bad CRC-32" in refused(MNIST, archive)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    batches(tmp_path)
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": Hostile()}))
    assert "io.open, which no file of CIFAR-10 does" in refused(CIFAR10, tmp_path)
    assert not (tmp_path / "made").exists()
