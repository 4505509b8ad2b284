"""The columns of a table in x, and their values restored; changes of units."""

import dataclasses
import json

import numpy as np
import pytest

from tfdgm import Column, Scaling, TableSpec

TABLE = TableSpec(
    (
        Column("height", center=170.0, scale=8.0, decimals=1),
        Column("city", "categorical", ("Oslo", "Paris", "Rome"), missing=True),
        Column("smokes", "categorical", (False, True)),
        Column("rating", "ordinal", (1, 2, 3), missing=True),
        Column("visits", "count", center=1.0, scale=0.5, decimals=0),
    )
)


def test_each_column_has_its_numbers_in_order_and_what_is_observed_comes_last():
    assert TABLE.places == (slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 6), slice(6, 7))
    assert TABLE.observed == (None, 7, None, 8, None)
    assert TABLE.size == 9


def test_values_are_restored_in_units_and_categories_with_what_is_missing():
    visits = (np.log1p(4) - 1) / 0.5
    x = np.array(
        [
            [1.5, 0, 0, 1, 0, -1, visits, 1, 1],
            [-0.01, 0.2, 0.7, 0.1, 0.6, 0.4, visits + 0.1, 1, 1],
            [0.0, 0, 0, 0, 1, 0, -9, 0, 0],
        ],
        np.float32,
    )
    restored = TABLE.restore(x)
    assert list(restored) == ["height", "city", "smokes", "rating", "visits"]
    assert restored["height"].tolist() == [182.0, 169.9, 170.0]
    assert restored["city"].tolist() == ["Rome", "Paris", None]
    assert restored["smokes"].tolist() == [False, True, True]
    assert restored["rating"].tolist() == [1, 2, None]
    assert restored["visits"].tolist() == [4, 4, 0]


def test_numbers_of_unknown_precision_keep_the_digits_that_float32_has():
    column = Column("price", center=1e9, scale=0.5)
    found = column.restore(np.array([[0.123456789]], np.float32))
    assert found[0] == round(1e9 + 0.5 * float(np.float32(0.123456789)), 7)


def test_a_table_is_json_and_back():
    for spec in (TABLE, Scaling((0.1, 2.0), (3.0, 1e-4))):
        assert type(spec).parsed(json.loads(json.dumps(dataclasses.asdict(spec)))) == spec


def test_the_first_column_that_is_no_plain_number_is_named():
    assert TABLE.odd_column == TABLE.columns[1]
    assert TableSpec((Column("a"), Column("b"))).odd_column is None
    assert TableSpec((Column("a"), Column("b", missing=True))).odd_column.name == "b"


VALUES = np.random.RandomState(0).randn(1_000, 2, 3) * [1e-3, 1.0, 1e4] + [0, 50, 1e6]


def test_standard_scaling_has_the_moments_of_the_whole_however_it_is_cut():
    scaling = Scaling.fitted(iter(np.split(VALUES, [1, 7, 400])), "standard")
    flat = VALUES.reshape(-1, 3)
    np.testing.assert_allclose(scaling.center, flat.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaling.scale, flat.std(axis=0), rtol=1e-9)
    x = scaling.apply(VALUES)
    assert x.dtype == np.float32
    np.testing.assert_allclose(scaling.restore(x), VALUES, rtol=0, atol=1e-6 * flat.std(axis=0).max())  # float32
    assert scaling.log_volume((2, 3)) == pytest.approx(2 * np.log(flat.std(axis=0)).sum())


def test_minmax_scaling_gives_the_unit_range_and_constant_entries_keep_their_scale():
    rows = np.array([[1.0, 5.0, 7.0], [3.0, 5.0, np.nan]])
    assert Scaling.fitted([rows], "minmax") == Scaling((1.0, 5.0, 7.0), (2.0, 1.0, 1.0))
    assert Scaling.fitted([rows], "standard") == Scaling((2.0, 5.0, 7.0), (1.0, 1.0, 1.0))
