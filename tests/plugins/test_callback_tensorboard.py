"""Pictures and histograms for TensorBoard, as TensorBoard reads them; the training itself stays the same."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from small import Points, assert_same_tensors, normal_rows, points_experiment, silent
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tfdgm_callbacks.tensorboard import TensorBoardDetails

from tfdgm import ArraySource, DataSpec, UserError
from tfdgm.contracts.data import evenly
from tfdgm.reporting.pictures import pixels
from tfdgm.training.trainer import Trainer


class Tiles(Points):
    """Images of 3 x 2 pixels, with a validation split."""

    def __init__(self, *, rows):
        super().__init__(rows=rows)
        self.spec = DataSpec(shape=(6,), low=0.0, high=1.0, image_shape=(3, 2))

    def splits(self):
        return {**super().splits(), "validation": ArraySource(self.rows[60:80])}


ROWS = 1 / (1 + np.exp(-normal_rows(100, 6)))


def trained(workdir, *callbacks):
    settings = {"data": Tiles(rows=ROWS), "steps": 20, "validate_every": 10, "checkpoint_seconds": 1e6}
    built = points_experiment(callbacks=list(callbacks), **settings).build()
    Trainer(built, workdir, silent).train()
    return built


@pytest.fixture(scope="module")
def with_details(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("with")
    built = trained(workdir, TensorBoardDetails(pictures=4, histograms=True))
    size_guidance = {"tensors": 0}
    return built, EventAccumulator(str(workdir / "events/validation"), size_guidance).Reload()


def test_every_validation_has_pictures_of_samples_and_reconstructions(with_details):
    _, events = with_details
    for tag in ("samples", "examples", "reconstructions"):
        assert events.SummaryMetadata(tag).plugin_data.plugin_name == "images"
        assert [event.step for event in events.Tensors(tag)] == [10, 20]
    assert [event.step for event in events.Tensors("elbo")] == [10, 20]  # beside the scores


def test_the_examples_are_those_of_the_validation_split(with_details):
    _, events = with_details
    width, height, png = tf.make_ndarray(events.Tensors("examples")[-1].tensor_proto)
    assert (int(width), int(height)) == (2 * (2 + 1) + 1, 2 * (3 + 1) + 1)  # a grid of 2 by 2 with gaps
    found = tf.io.decode_png(png).numpy()[..., 0] / 255
    expected = pixels(ROWS[60 + evenly(20, 4)].astype(np.float32), Tiles(rows=ROWS).spec)
    np.testing.assert_allclose(found, expected, atol=1 / 255)  # bytes


def test_the_samples_follow_the_weights(with_details):
    _, events = with_details
    first, last = (tf.make_ndarray(event.tensor_proto)[2] for event in events.Tensors("samples"))
    assert first != last


def test_the_histograms_count_every_weight(with_details):
    built, events = with_details
    for name, variable in built.parameters().items():
        bins = tf.make_ndarray(events.Tensors(f"weights/{name}")[-1].tensor_proto)
        assert bins[:, 2].sum() == np.prod(variable.shape)
        value = tf.convert_to_tensor(variable).numpy()
        assert bins[0, 0] == value.min() and bins[-1, 1] == value.max()


def test_the_training_is_the_same_bit_for_bit(with_details, tmp_path):
    built, _ = with_details
    assert_same_tensors(built.state.read(), trained(tmp_path).state.read())


def test_data_without_images_has_no_pictures(tmp_path):
    settings = {"steps": 10, "checkpoint_seconds": 1e6}
    built = points_experiment(callbacks=[TensorBoardDetails()], **settings).build()
    Trainer(built, tmp_path, silent).train()
    assert not (tmp_path / "events/validation").exists()


def test_without_the_extra_it_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"pip install \"tfdgm\[tensorboard\]\""):
        TensorBoardDetails()


def test_a_negative_number_of_pictures_is_refused():
    with pytest.raises(UserError, match="pictures must not be negative, got -1"):
        TensorBoardDetails(pictures=-1)
