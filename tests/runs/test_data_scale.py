"""Warnings of data whose scale does not suit the defaults, and none for what is packaged."""

import numpy as np
import pytest
import tensorflow as tf
from small import Points, context, digits_experiment, points_experiment
from tfdgm_data.npz import Npz
from tfdgm_likelihoods.gaussian import Gaussian

from tfdgm import ArraySource, Column, DataSpec, TableSpec, UserError
from tfdgm.contracts.data import evenly
from tfdgm.contracts.registry import find, load
from tfdgm.runs.data_scale import data_scale_warnings, scale_warnings

NORMAL = np.random.RandomState(0).randn(1_000, 4)


def warned(x, **spec):
    (line,) = scale_warnings(DataSpec(shape=x.shape[1:], **spec), x)
    assert "\n" not in line
    return line


def silent(x, **spec):
    return scale_warnings(DataSpec(shape=x.shape[1:], **spec), x) == []


def test_data_a_thousand_times_too_large_is_told_with_its_worst_columns_and_the_cure():
    line = warned(NORMAL * [1, 1_000, 2_000, 1] + [0, 0, 500, 0])
    assert "2 of 4 columns of x have a mean or standard deviation beyond 100" in line
    mean, deviation = (500 + 2_000 * NORMAL[:, 2].mean()), 2_000 * NORMAL[:, 2].std()
    assert f"column 2 has mean {mean:.3g} and standard deviation {deviation:.3g}; column 1 has" in line
    assert line.endswith(f"here (x - {mean:.6g}) / {deviation:.6g} in column 2")
    assert "here (x + " in warned(NORMAL - 1_000)
    standardised = (NORMAL[:, 2] * 2_000 + 500 - mean) / deviation
    assert abs(standardised.mean()) < 1e-12 and standardised.std() == pytest.approx(1)


@pytest.mark.parametrize("offset, scale", [(101, 1), (-101, 1), (0, 110), (1e6, 0)])
def test_the_mean_counts_as_the_standard_deviation_does(offset, scale):
    assert "4 of 4 columns" in warned(NORMAL * scale + offset)


@pytest.mark.parametrize("offset, scale", [(99, 1), (-99, 1), (0, 97), (0, 1.1e-3), (0, 0), (50, 0)])
def test_data_of_ordinary_scale_is_not_told(offset, scale):
    assert silent(NORMAL * scale + offset)


def test_data_that_hardly_varies_is_told():
    line = warned(NORMAL * [1e-4, 2e-5, 0, 1e-4])
    assert "3 of 4 columns of x have a standard deviation below 0.001" in line and ": column 1 has mean" in line


def test_columns_of_very_different_scales_are_told():
    line = warned(NORMAL * [50, 0.01, 1, 0])
    assert "1 of 4 columns of x have a standard deviation more than 1000 times smaller than another's" in line
    assert "column 1 has" in line
    assert silent(NORMAL * [50, 0.1, 1, 0])


def test_of_many_columns_three_are_named_and_of_images_by_their_place():
    line = warned(NORMAL.reshape(500, 2, 4) * 1e4)
    assert "8 of 8 columns" in line and line.count(" has mean ") == 3 and "; ..." in line
    assert " in x[" in line and "column " not in line.split("columns", 1)[1].split("Standardise")[0]


def test_pixels_as_floats_between_0_and_1_are_not_told_however_seldom_one_is_set():
    x = np.zeros((1_000, 4))
    x[:500, 0] = 1  # the largest standard deviation
    x[7, 1] = 1 / 255  # the smallest
    assert silent(x)


def test_grey_levels_have_the_scale_of_their_definition():
    assert silent(NORMAL * 1e6, levels=256)


def test_one_example_has_no_standard_deviation_to_tell_of():
    assert silent(NORMAL[:1])
    assert "beyond 100" in warned(NORMAL[:1] + 1_000)


class Scaled(Points):
    """Rows that `observe` multiplies."""

    def observe(self, rows, context):
        return 1_000 * tf.cast(rows, tf.float32)


def test_an_experiment_is_judged_by_what_the_model_sees_of_its_training_examples():
    rows = NORMAL[:, :3].astype(np.float32)
    assert data_scale_warnings(points_experiment(data=Points(rows=rows)).build()) == []
    (line,) = data_scale_warnings(points_experiment(data=Scaled(rows=rows)).build())
    mean = 1_000 * rows[:600].astype(np.float64).mean(axis=0)
    assert any(f"column {column} has mean {mean[column]:.3g}" in line for column in range(3))
    assert data_scale_warnings(digits_experiment().build()) == []


def test_examples_that_the_data_makes_infinite_are_refused_by_number():
    rows = NORMAL[:100, :3].astype(np.float32)
    rows[17] = 1e37
    message = "x of training example 17 has NaN or infinity, as do 1 of 60 examined examples"
    with pytest.raises(UserError, match=message):
        data_scale_warnings(points_experiment(data=Scaled(rows=rows)).build())


PACKAGED = [plugin for plugin in find() if plugin.kind == "data" and plugin.package == "tfdgm"]
OF_FILES = ("npz", "table", "image_folder", "tfds", "mnist", "fashion_mnist", "cifar10")
WITHOUT_FILES = [plugin for plugin in PACKAGED if plugin.name not in OF_FILES]


@pytest.mark.parametrize("plugin", WITHOUT_FILES, ids=lambda plugin: plugin.name)
def test_packaged_data_is_never_told(plugin):
    data = load(plugin)()
    train = data.splits()["train"]
    x = data.observe(tf.constant(train.gather(evenly(len(train), min(len(train), 1_000)))), context())
    assert scale_warnings(data.spec, x.numpy()) == []


def test_the_source_of_the_rows_may_be_smaller_than_the_sample():
    built = points_experiment(data=Points(rows=NORMAL[:40, :3]), batch_size=4).build()
    assert isinstance(built.experiment.train, ArraySource) and len(built.experiment.train) == 24
    assert data_scale_warnings(built) == []


def test_the_scaling_that_the_data_offers_is_the_remedy(tmp_path):
    rows = 1_000 * np.random.RandomState(0).randn(100, 3)
    np.savez(tmp_path / "rows.npz", train=rows.astype(np.float32))
    path = str(tmp_path / "rows.npz")
    (line,) = data_scale_warnings(points_experiment(data=Npz(path=path)).build())
    assert "beyond 100" in line and line.endswith('.scaling = "standard" does so')
    assert data_scale_warnings(points_experiment(data=Npz(path=path, scaling="standard")).build()) == []


def test_data_far_from_a_fixed_scale_is_told_and_none_that_only_an_adversary_sees():
    rows = 50 * np.random.RandomState(0).randn(100, 3)
    distance = np.sqrt(np.mean(rows[:60] ** 2, axis=0)).max()
    built = points_experiment(data=Points(rows=rows), likelihood=Gaussian(scale=0.1)).build()
    (line,) = data_scale_warnings(built)
    assert f"is {distance:.3g} from the untrained mean, {distance / 0.1:.3g} times the standard deviation" in line
    assert data_scale_warnings(points_experiment(data=Points(rows=rows), likelihood=Gaussian(scale=1.0)).build()) == []
    learned = points_experiment(data=Points(rows=rows), likelihood=Gaussian(learned_scale=True))
    assert data_scale_warnings(learned.build()) == []


def test_columns_of_a_table_have_their_names():
    table = TableSpec((Column("height"), Column("city", "categorical", ("a", "b", "c")), Column("income")))
    x = np.random.RandomState(0).randn(100, 5) * [1, 1, 1, 1, 1e4]
    (line,) = scale_warnings(DataSpec(shape=(5,), table=table), x)
    assert "column 'income' has mean" in line
