"""Pictures of tables: what they show, and that they are drawn for every kind of column."""

import numpy as np
import pandas
import pytest

from tfdgm import Column, DataSpec, Scaling, TableSpec
from tfdgm.reporting.table_pictures import _correlation, _Values, can_draw_table, correlations, save_table_pictures

TABLE = TableSpec(
    (
        Column("height", center=170.0, scale=8.0, decimals=1, missing=True),
        Column("city", "categorical", ("Oslo", "Paris", "Rome"), missing=True),
        Column("visits", "count", center=1.0, scale=0.5, decimals=0),
        Column("rating", "ordinal", (1, 2, 3)),
        Column("constant"),
    )
)
SPEC = DataSpec(shape=(TABLE.size,), table=TABLE)


def rows(count, seed):
    random = np.random.RandomState(seed)
    x = [
        random.randn(count),
        *np.eye(3)[random.randint(3, size=count)].T,
        (np.log1p(random.poisson(3, count)) - 1) / 0.5,
    ]
    x += [random.randint(3, size=count) - 1, np.zeros(count), random.rand(count) < 0.8, random.rand(count) < 0.8]
    return np.stack(x, axis=1).astype(np.float32)


def test_correlations_are_those_of_pandas_with_missing_values():
    numbers = np.random.RandomState(0).randn(200, 4) @ np.random.RandomState(1).randn(4, 4)
    numbers[np.random.RandomState(2).rand(200, 4) < 0.2] = np.nan
    np.testing.assert_allclose(_correlation(numbers), pandas.DataFrame(numbers).corr(), rtol=1e-9)
    numbers[:, 1] = 3.0
    assert np.isnan(_correlation(numbers)[1]).all()


def test_values_are_in_the_units_of_the_table_and_missing_ones_are_left_out():
    x = rows(100, 0)
    values = _Values.of(SPEC, x)
    absent = x[:, 7] == 0
    assert np.isnan(values.values[0][absent]).all()
    np.testing.assert_allclose(values.values[0][~absent], np.round(170 + 8 * x[~absent, 0].astype(float), 1))
    assert set(values.values[1][np.isfinite(values.values[1])]) == {0, 1, 2}
    assert values.labels == ["height", "city = Oslo", "city = Paris", "city = Rome", "visits", "rating", "constant"]


def test_the_largest_difference_of_correlations_is_written():
    together = np.random.RandomState(0).randn(500, 1) @ np.ones((1, 3))
    spec = DataSpec(shape=(3,))
    figure = correlations(_Values.of(spec, together), _Values.of(spec, together * [1, -1, 1]))
    assert "draws - data, at most 2.00" in [axes.get_title() for axes in figure.axes]


@pytest.mark.parametrize(
    "spec, x",
    [(SPEC, rows(60, 1)), (DataSpec(shape=(30,), scaling=Scaling((5.0,) * 30, (1e4,) * 30)), np.ones((20, 30)))],
)
def test_three_pictures_are_written_with_captions(tmp_path, spec, x):
    captions = save_table_pictures(tmp_path, 7, spec, x, np.roll(x, 1, axis=0))
    assert [path.name for path in captions] == ["pairs-7.png", "marginals-7.png", "correlations-7.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in captions)
    assert all(f"{len(x)} examples of the data and {len(x)} draws" in caption for caption in captions.values())


def test_images_and_points_in_the_plane_have_pictures_of_their_own():
    assert can_draw_table(SPEC) and can_draw_table(DataSpec(shape=(12,)))
    assert not can_draw_table(DataSpec(shape=(2,)))
    assert not can_draw_table(DataSpec(shape=(64,), image_shape=(8, 8)))
    assert not can_draw_table(DataSpec(shape=(5, 5)))
