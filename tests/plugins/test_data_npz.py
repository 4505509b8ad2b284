"""Arrays in a NumPy archive: what is read, and what is refused by name and position."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small import context
from tfdgm_data.npz import Npz

from tfdgm import UserError

FLOATS = np.random.RandomState(0).rand(20, 4, 3).astype(np.float32)
BYTES = np.random.RandomState(0).randint(0, 256, (20, 4, 4, 3)).astype(np.uint8)


def saved(tmp_path, save=np.savez, **arrays):
    path = tmp_path / "data.npz"
    save(path, **arrays)
    return str(path)


def refused(path, **settings):
    with pytest.raises(UserError) as raised:
        Npz(path=str(path), **settings)
    assert str(path) in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("rows", [FLOATS, BYTES, FLOATS.astype(np.float64), np.asfortranarray(FLOATS)])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_rows_are_those_of_the_file(tmp_path, save, rows):
    splits = Npz(path=saved(tmp_path, save, train=rows, test=rows[:7])).splits()
    assert set(splits) == {"train", "test"}
    order = np.array([3, 0, 19, 3])
    np.testing.assert_array_equal(splits["train"].gather(order), rows[order])
    np.testing.assert_array_equal(splits["test"].gather(np.arange(7)), rows[:7])
    assert splits["train"].dtype == rows.dtype


def test_stored_arrays_are_mapped_and_compressed_ones_read(tmp_path):
    stored = Npz(path=saved(tmp_path, train=FLOATS)).splits()["train"].rows
    assert isinstance(stored, np.memmap)
    np.testing.assert_array_equal(stored, FLOATS)
    compressed = Npz(path=saved(tmp_path, np.savez_compressed, train=FLOATS)).splits()["train"].rows
    assert not isinstance(compressed, np.memmap)


def test_bytes_are_divided_by_255_and_floats_are_not(tmp_path):
    data = Npz(path=saved(tmp_path, train=BYTES))
    x = data.observe(tf.constant(BYTES[:5]), context())
    np.testing.assert_allclose(x, BYTES[:5] / 255.0, rtol=1e-6)  # float32
    assert (data.spec.low, data.spec.high, data.spec.levels) == (0.0, 1.0, 256)
    assert data.spec.image_shape == (4, 4, 3)
    data = Npz(path=saved(tmp_path, train=FLOATS))
    np.testing.assert_array_equal(data.observe(tf.constant(FLOATS[:5]), context()), FLOATS[:5])
    assert (data.spec.low, data.spec.high) == (float(FLOATS.min()), float(FLOATS.max()))
    assert data.spec.levels is None and data.spec.image_shape == (4, 3)


@pytest.mark.parametrize("name, content", [("t.csv", b"a,b\n1,2\n"), ("t.PARQUET", b"PAR1"), ("table", b"PAR1\0\0")])
def test_a_table_is_called_one_and_sent_to_data_table(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    assert message.endswith("is a table, not an .npz file; data.table reads CSV and Parquet")
    assert "pickle" not in message


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["train", "test"])
def test_a_value_that_is_not_finite_is_reported_with_its_position(tmp_path, name, bad):
    rows = FLOATS.copy()
    rows[13, 2, 1] = bad
    message = refused(saved(tmp_path, **{"train": FLOATS, name: rows}))
    assert f"'{name}' has NaN or infinity, the first at [13, 2, 1]" in message


def test_the_place_of_a_bad_value_is_right_in_a_later_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("tfdgm_data.npz._CHECKED_AT_ONCE", 3 * FLOATS[0].nbytes)
    rows = FLOATS.copy()
    rows[13, 2, 1] = np.nan
    assert "[13, 2, 1]" in refused(saved(tmp_path, train=rows))


@pytest.mark.parametrize(
    "arrays, expected",
    [
        ({"x": FLOATS}, "no array 'train'; it has 'x'"),
        (
            {"train": FLOATS, "test": FLOATS[:, :2]},
            "'test' has examples of shape (2, 3), but those of 'train' have (4, 3)",
        ),
        ({"train": FLOATS, "test": FLOATS.astype(np.float64)}, "'test' has dtype float64, but 'train' has float32"),
        ({"train": FLOATS.ravel()}, "'train' must have shape [examples, ...]"),
        ({"train": np.array(["a", "b"])[:, None]}, "'train' has dtype"),
        ({"train": FLOATS.astype(np.complex64)}, "'train' has dtype complex64"),
        ({"train": np.full((3, 2), 256)}, "'train' has integers outside 0..255"),
        ({"train": np.full((3, 2), -1)}, "'train' has integers outside 0..255"),
        ({"train": np.eye(3, dtype=np.uint8)}, "'train' contains only the integers 0 and 1"),
        ({"train": np.eye(3, dtype=bool)}, "'train' has dtype bool; it must contain integers of 8 to 64 bits, or"),
        ({"train": np.eye(3, dtype=np.longdouble)}, "'train' has dtype float128"),
        ({"train": FLOATS[:0]}, "'train' has no examples"),
        ({"train": FLOATS[:, :0]}, "'train' has empty examples, of shape (0, 3)"),
    ],
)
def test_unsuitable_arrays_are_refused_by_name(tmp_path, arrays, expected):
    assert expected in refused(saved(tmp_path, **arrays))


def test_python_objects_are_refused(tmp_path):
    assert "objects" in refused(saved(tmp_path, train=np.array([[{}], [{}]], object))).lower()


def test_a_range_that_the_data_leaves_is_refused(tmp_path):
    path = saved(tmp_path, train=FLOATS)
    assert "outside the range [0.5, 1]" in refused(path, low=0.5, high=1.0)
    assert Npz(path=path, low=-1.0, high=2.0).spec.high == 2.0


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize("value, end", [(-0.25, "[-0.25, "), (7.5, ", 7.5]")])
def test_every_split_stays_in_the_range_that_is_given(tmp_path, monkeypatch, name, value, end):
    monkeypatch.setattr("tfdgm_data.npz._CHECKED_AT_ONCE", 3 * FLOATS[0].nbytes)
    rows = FLOATS.copy()
    rows[13, 2, 1] = value
    path = saved(tmp_path, **{"train": FLOATS, name: rows})
    low, high = float(FLOATS.min()), float(FLOATS.max())
    message = refused(path, low=low, high=high)
    assert f"the values of {name!r} lie in [" in message and end in message
    assert f"outside the range [{low:g}, {high:g}]; set it by low and high" in message
    assert Npz(path=path, low=-1.0, high=8.0).spec.low == -1.0


def test_without_a_given_range_it_is_that_of_all_splits(tmp_path):
    spec = Npz(path=saved(tmp_path, train=FLOATS, validation=FLOATS - 1, test=FLOATS + 2)).spec
    assert spec.low == pytest.approx(FLOATS.min() - 1) and spec.high == pytest.approx(FLOATS.max() + 2)


def test_bytes_stay_in_a_range_that_is_given(tmp_path):
    path = saved(tmp_path, train=np.full((3, 2), 51, np.uint8), test=np.full((3, 2), 204, np.uint8))
    assert Npz(path=path).spec.high == 1.0
    message = refused(path, high=0.5)
    assert "the values of 'test' lie in [0.8, 0.8], outside the range [0, 0.5]" in message


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_value_that_float32_cannot_hold_is_refused_with_its_place(tmp_path, save):
    rows = FLOATS.astype(np.float64)
    rows[13, 2, 1] = -1e39
    message = refused(saved(tmp_path, save, train=rows))
    assert "'train' has -1e+39, which float32 cannot hold, the first at [13, 2, 1]" in message
    rows[13, 2, 1] = 3.4e38
    assert Npz(path=saved(tmp_path, save, train=rows)).spec.high == 3.4e38


def test_a_missing_or_broken_file_is_refused(tmp_path):
    assert "file not found" in refused(tmp_path / "nowhere.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    assert "is not an .npz file; numpy.savez(path, train=rows) writes one" in refused(tmp_path / "text.npz")
    whole = Path(saved(tmp_path, train=FLOATS))
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:300])
    assert "cannot read" in refused(tmp_path / "cut.npz")
    np.save(tmp_path / "one.npy", FLOATS)
    assert "not an .npz file: it contains a single array" in refused(tmp_path / "one.npy")


def test_paths_that_are_no_regular_file_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    assert "not a regular file" in refused(tmp_path / "pipe.npz")
    assert "is a folder" in refused(tmp_path)
    assert "cannot read" in refused(tmp_path / ("x" * 300))  # a name too long for the file system
    with pytest.raises(UserError, match="cannot read"):
        Npz(path="zero\0byte.npz")


@pytest.mark.parametrize("call", ["builtins.open", "pathlib.Path.stat"])
def test_a_file_without_permission_is_reported(tmp_path, monkeypatch, call):
    path = saved(tmp_path, train=FLOATS)

    def denied(*arguments, **named):
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patched:  # permissions do not bind a test that runs as root
        patched.setattr(call, denied)
        message = refused(path)
    assert message == f"data.npz: permission denied: {path}"


def test_arrays_that_do_not_fit_in_memory_are_reported(tmp_path, monkeypatch):
    path = saved(tmp_path, np.savez_compressed, train=FLOATS)

    def full(*arguments):
        raise MemoryError

    monkeypatch.setattr("tfdgm_data.npz_file._fill", full)
    assert "do not fit in memory; store them uncompressed by numpy.savez" in refused(path)


def test_scaled_columns_are_standardised_over_the_training_split_alone(tmp_path):
    train, test = FLOATS * [1e-3, 1, 1e4] + 5, 3.0 * FLOATS[:7].astype(float)
    data = Npz(path=saved(tmp_path, train=train, test=test), scaling="standard")
    x = data.splits()["train"].gather(np.arange(20))
    assert x.dtype == np.float32 and data.splits()["train"].nbytes == 20 * 4 * 3 * 4
    flat = train.reshape(-1, 3)
    np.testing.assert_allclose(x, (train - flat.mean(axis=0)) / flat.std(axis=0), rtol=1e-4, atol=1e-5)  # float32
    others = data.splits()["test"].gather(np.arange(7))
    np.testing.assert_allclose(data.spec.restore(others), test, rtol=0, atol=1e-2)  # float32, of a scale of 3,000
    seen = np.concatenate([x, others])
    assert (data.spec.low, data.spec.high) == (seen.min(), seen.max())
    assert data.describe()["log_volume"] == pytest.approx(4 * np.log(flat.std(axis=0)).sum())


def test_minmax_gives_the_unit_range(tmp_path):
    data = Npz(path=saved(tmp_path, train=FLOATS * 1e3 - 7), scaling="minmax")
    x = data.splits()["train"].gather(np.arange(20))
    assert x.min() == 0 and x.max() == pytest.approx(1, abs=1e-6)


def test_scaling_is_for_floats_and_leaves_no_range_to_give(tmp_path):
    assert "scaling = 'minmax' requires floating-point" in refused(saved(tmp_path, train=BYTES), scaling="minmax")
    with pytest.raises(UserError, match="scaling = 'standard' excludes low, high and counts"):
        Npz(path=saved(tmp_path, train=FLOATS), scaling="standard", low=0.0)
