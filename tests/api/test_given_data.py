"""The arrays that a caller gives as data."""

import numpy as np
import pytest

from tfdgm import UserError
from tfdgm.api.given_data import FILE, fitting_config, given_splits, keep_arrays

ROWS = np.arange(60.0).reshape(30, 2)


def refused(*arguments):
    with pytest.raises(UserError) as raised:
        given_splits(*arguments)
    return str(raised.value)


def test_an_array_is_divided_by_a_fixed_permutation_into_eight_tenths_and_two_of_one_tenth():
    splits = given_splits(ROWS, np.arange(30))
    assert {name: len(rows) for name, rows in splits.items()} == {
        "train": 24, "validation": 3, "test": 3, "train_labels": 24, "validation_labels": 3, "test_labels": 3,
    }  # fmt: skip
    together = np.concatenate([splits[name] for name in ("train", "validation", "test")])
    assert sorted(map(tuple, together)) == sorted(map(tuple, ROWS))
    order = np.random.RandomState(0).permutation(30)
    np.testing.assert_array_equal(splits["test"], ROWS[order[-3:]])
    np.testing.assert_array_equal(splits["test"][:, 0] / 2, splits["test_labels"])


def test_fewer_than_ten_rows_are_all_for_training():
    assert set(given_splits(ROWS[:9])) == {"train"}


def test_a_dict_and_a_tuple_are_splits_and_a_list_is_rows():
    assert list(given_splits((ROWS, ROWS))) == ["train", "test"]
    assert list(given_splits((ROWS, ROWS, ROWS))) == ["train", "validation", "test"]
    assert list(given_splits({"train": ROWS, "validation": ROWS}, {"train": ROWS, "validation": ROWS})) == [
        "train", "validation", "train_labels", "validation_labels",
    ]  # fmt: skip
    assert len(given_splits(ROWS.tolist())["train"]) == 24


def test_booleans_become_floats_and_other_numbers_keep_their_type():
    assert given_splits((ROWS > 3, ROWS))["train"].dtype == np.float32
    for dtype in ("uint8", "int64", "float16", "float64"):
        assert given_splits(ROWS.astype(dtype))["train"].dtype == dtype


@pytest.mark.parametrize(
    "data, labels, message",
    [
        ({"tain": ROWS}, None, "data has no split 'tain'. Did you mean 'train'"),
        ({"test": ROWS}, None, "data has no split 'train'; it has 'test'"),
        ({}, None, "it has none"),
        ((ROWS,), None, "data is a tuple of 1; a tuple is"),
        (ROWS, (ROWS, ROWS), "labels have the form of the splits train, test, but data has of one array"),
        (ROWS, np.arange(3), "labels have 3 rows, but data has 30"),
        ([["a"]], None, "data must be numbers, got an array of dtype <U1"),
        ({"train": ROWS, "test": ROWS * 1j}, None, "data['test'] must be numbers"),
        (3.0, None, "data must have shape"),
        ([[1, 2], [3]], None, "data is not an array"),
    ],
)
def test_other_data_is_refused_with_what_was_wanted(data, labels, message):
    assert message in refused(data, labels)


def test_the_config_fits_the_values():
    assert fitting_config({"train": ROWS, "train_labels": np.arange(3)}) == "arrays/reals.gin"
    assert fitting_config({"train": ROWS.astype(np.uint8)}) == "arrays/levels.gin"
    assert fitting_config({"train": ROWS % 2, "test": ROWS // 60}) == "arrays/binary.gin"
    assert fitting_config({"train": ROWS % 2, "test": ROWS}) == "arrays/reals.gin"


def test_a_run_that_has_begun_accepts_its_own_arrays_only(tmp_path):
    keep_arrays(tmp_path, {"train": ROWS * np.nan}, begun=False)
    kept = {"train": ROWS, "test": ROWS[:3]}
    keep_arrays(tmp_path, kept, begun=False)
    keep_arrays(tmp_path, kept, begun=True)
    for other, reason in (
        ({**kept, "test": ROWS[:2]}, "'test' differs"),
        ({**kept, "test": ROWS[:3].astype(np.float32)}, "'test' differs"),
        ({"train": ROWS}, "its arrays are test, train, those given train"),
    ):
        with pytest.raises(UserError, match=f"run on other data .{reason}"):
            keep_arrays(tmp_path, other, begun=True)
    (tmp_path / FILE).write_bytes(b"PK damaged")
    with pytest.raises(UserError, match="cannot be read"):
        keep_arrays(tmp_path, kept, begun=True)
    (tmp_path / FILE).unlink()
    with pytest.raises(UserError, match=r"it has no data\.npz"):
        keep_arrays(tmp_path, kept, begun=True)
