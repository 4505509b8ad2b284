"""Patches of the photographs: their positions, and that splits share no pixel."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images
from sklearn.utils import Bunch
from small import context, points_experiment, silent
from tfdgm_data.photos import Patches, Photos
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_networks.conv import Conv

from tfdgm import UserError
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer

COLUMNS = {"train": {*range(256), *range(320, 576)}, "validation": {*range(576, 640)}, "test": {*range(256, 320)}}


def coordinates(rows):
    """Number of the photograph, row and column of every pixel `[...]` of the map below."""
    red, green, blue = np.moveaxis(rows.astype(int), -1, 0)
    return blue // 128, red + 256 * (blue // 64 % 2), green + 256 * (blue % 64)


@pytest.fixture
def mapped(monkeypatch):
    """In place of the photographs, two images of 427 x 640 pixels that say where they are."""
    row, column = np.indices((427, 640))
    images = [
        np.stack([row % 256, column % 256, 128 * photo + 64 * (row // 256) + column // 256], -1).astype(np.uint8)
        for photo in (0, 1)
    ]
    monkeypatch.setattr("tfdgm_data.photos.load_sample_images", lambda: Bunch(images=images))


@pytest.mark.parametrize("size, stride", [(32, 16), (64, 21), (1, 16), (33, 50)])
def test_patches_are_squares_of_one_photograph_inside_the_documented_columns(mapped, size, stride):
    for name, source in Photos(size=size, stride=stride).splits().items():
        rows = source.gather(np.arange(len(source)))
        assert rows.shape == (len(source), size, size, 3) and rows.dtype == source.dtype == np.uint8
        assert source.shape == (size, size, 3)
        photo, row, column = coordinates(rows)
        assert np.all(photo == photo[:, :1, :1])
        np.testing.assert_array_equal(row, row[:, :1, :1] + np.arange(size)[:, None] + np.zeros(size, int))
        np.testing.assert_array_equal(column, column[:, :1, :1] + np.arange(size) + np.zeros((size, 1), int))
        assert set(column.ravel()) <= COLUMNS[name] and set(photo.ravel()) == {0, 1}
        corners = set(zip(photo[:, 0, 0], row[:, 0, 0], column[:, 0, 0], strict=True))
        assert len(corners) == len(source)
        # every place that the stride allows is taken: the width of the strips that hold the corner, twice the height
        step = stride if name == "train" else 8
        strips = [256, 256] if name == "train" else [64]
        assert len(source) == 2 * len(range(0, 428 - size, step)) * sum(
            len(range(0, width + 1 - size, step)) for width in strips
        )


def test_no_pixel_is_in_two_splits(mapped):
    seen = {}
    for name, source in Photos(size=64, stride=2).splits().items():
        # a patch is a square, so that its upper left and lower right pixel bound what it sees
        corners = np.concatenate([source.gather(np.array([i]))[:, ::63, ::63] for i in range(0, len(source), 5)])
        _, _, column = coordinates(corners)
        assert set(column[:, :, 0].ravel()) <= {*COLUMNS[name]} and set(column[:, :, 1].ravel()) <= {*COLUMNS[name]}
        seen[name] = {x for left in set(column[:, 0, 0]) for x in range(left, left + 64)}
        assert seen[name] == COLUMNS[name]  # nothing is left out either
    assert not (seen["train"] & seen["test"] or seen["train"] & seen["validation"] or seen["test"] & seen["validation"])


def test_any_order_gives_the_patches_cut_out_directly():
    photo = load_sample_images().images[0]
    images = [photo[:20, :11], photo[100:115, 30:70], photo[:8, :8]]
    source = Patches(images, size=8, stride=3)
    expected = [
        image[top : top + 8, left : left + 8]
        for image in images
        for top in range(0, image.shape[0] - 7, 3)
        for left in range(0, image.shape[1] - 7, 3)
    ]
    assert len(source) == len(expected)
    order = np.random.RandomState(0).permutation(np.repeat(np.arange(len(expected)), 2))
    np.testing.assert_array_equal(source.gather(order), np.array(expected)[order])
    assert source.gather(np.array([], int)).shape == (0, 8, 8, 3)


def test_x_is_the_photograph_divided_by_255():
    data = Photos(size=16)
    source = data.splits()["train"]
    x = data.observe(tf.constant(source.gather(np.array([0, 1]))), context())
    photo = load_sample_images().images[0]
    np.testing.assert_allclose(x, np.stack([photo[:16, :16], photo[:16, 4:20]]) / 255, rtol=1e-6)  # float32
    assert x.dtype == tf.float32
    spec = data.spec
    assert (spec.shape, spec.image_shape, spec.low, spec.high, spec.levels) == ((16, 16, 3), (16, 16, 3), 0, 1, 256)


def test_the_run_records_where_the_patches_come_from():
    facts = Photos(size=16, stride=5).describe()
    assert "load_sample_images" in facts["source"] and "256-319 test" in facts["split"]
    assert facts["patches"] == "16 x 16, stride 5 in training, 8 elsewhere"


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"size": 65}, "size must be between 1 and 64.*got 65"),
        ({"size": 0}, "size must be between 1 and 64.*got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, expected):
    with pytest.raises(UserError, match=expected):
        Photos(**settings)


class TrainingPhotos(Photos):
    """The data without validation, which would take a compilation."""

    def splits(self):
        return {"train": super().splits()["train"]}


@pytest.mark.slow
def test_a_small_convolutional_model_learns_patches(tmp_path):
    built = points_experiment(
        data=TrainingPhotos(size=8, stride=16),
        likelihood=Gaussian(scale=0.2),
        encoder=Conv(width=8, residual_blocks=1),
        decoder=Conv(width=8, residual_blocks=1),
        optimizer=keras.optimizers.Adam(1e-2),
        batch_size=32,
        steps=20,
    ).build()
    Trainer(built, tmp_path, silent).train()
    first, last = (line["elbo"] for line in read_lines(tmp_path / "metrics.jsonl"))
    assert np.isfinite(first) and last > first + 100  # nats; 192 numbers that a constant explains for the most part
