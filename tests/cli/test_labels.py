"""A model of labels through the commands: train, eval, sample and export."""

import json

import numpy as np
import pytest
import tensorflow as tf
from small import TINY_BINDINGS, command
from tfdgm_data.digit_classifier import DigitClassifier

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A finished run of 1,500 steps on digits given their labels."""
    folder = tmp_path_factory.mktemp("labelled") / "run"
    bindings = f"{TINY_BINDINGS}\nexperiment.condition = True\nsteps = 1_500\nexperiment.steps_per_loop = 500"
    bindings += "\nexperiment.batch_size = 128\nnetwork.mlp.hidden = (128,)\nexperiment.validate_every = 1_500"
    assert command("train", f"--workdir={folder}", f"--gin_bindings={bindings}") == 0
    return folder


def test_the_scores_by_label_are_reported_with_their_meanings(workdir):
    scores = json.loads((workdir / "eval.json").read_text())
    assert scores["label_accuracy"] > 0.6  # by chance 0.1; binary draws of real digits reach 0.94
    assert scores["label_frechet_distance"] > 0 and "a label has" in scores["generation_note"]
    assert 0 <= scores["linear_probe"] <= 1
    assert json.loads((workdir / "scores.json").read_text())["label_accuracy"]["better"] == "larger"


def test_draws_have_the_label_that_is_asked_for(workdir, tmp_path):
    for label in range(10):
        file = tmp_path / f"{label}.npz"
        assert command("sample", f"--workdir={workdir}", f"--label={label}", "--num=100", f"--output={file}") == 0
        with np.load(file) as arrays:
            np.testing.assert_array_equal(arrays["y"], np.full(100, label))
            found = DigitClassifier().probabilities(arrays["mean"]).argmax(axis=1)
        assert np.mean(found == label) > 0.6


def test_draws_without_a_label_have_those_of_the_data_and_pictures_a_row_each(workdir, tmp_path):
    from PIL import Image

    file = tmp_path / "x.npz"
    assert command("sample", f"--workdir={workdir}", "--num=500", f"--output={file}") == 0
    with np.load(file) as arrays:
        assert np.bincount(arrays["y"], minlength=10) == pytest.approx(np.full(10, 50), abs=34)  # 5 standard deviations
    assert command("sample", f"--workdir={workdir}", "--num=30", f"--output={tmp_path / 'x.png'}") == 0
    width, height = Image.open(tmp_path / "x.png").size
    assert height / width == pytest.approx((10 * 9 + 1) / (3 * 9 + 1))  # 10 rows of 3 digits, a pixel apart


@pytest.mark.parametrize("label, message", [("eleven", "there is no label 'eleven'"), ("10", "there is no label '10'")])
def test_a_label_that_does_not_exist_is_refused(workdir, tmp_path, capsys, label, message):
    output = f"--output={tmp_path / 'x.npz'}"
    assert command("sample", f"--workdir={workdir}", f"--label={label}", output) == 2
    assert message in capsys.readouterr().err


def test_a_label_without_a_condition_is_refused(trained_workdir, tmp_path, capsys):
    assert command("sample", f"--workdir={trained_workdir}", "--label=3", f"--output={tmp_path / 'x.npz'}") == 2
    assert "the model is not conditioned on labels (experiment.condition)" in capsys.readouterr().err


def test_the_exported_functions_take_labels(workdir, tmp_path):
    folder = tmp_path / "model"
    assert command("export", f"--workdir={workdir}", f"--output={folder}", "--num_samples=20") == 0
    model, seed = tf.saved_model.load(str(folder)), tf.constant([1, 2])
    y = tf.constant([3, 3, 7], tf.int32)
    mean = model.sample(tf.constant(3), seed, y)["mean"].numpy()
    other = model.sample(tf.constant(3), seed, tf.constant([3, 3, 3], tf.int32))["mean"].numpy()
    np.testing.assert_array_equal(mean[:2], other[:2])
    assert np.abs(mean[2] - other[2]).max() > 0.1
    x = tf.constant((mean > 0.5).astype(np.float32))
    assert tuple(model.reconstruct(x, seed, y)["mean"].shape) == (3, 64)
    right, wrong = (model.log_prob(x, seed, labels)["log_prob"].numpy() for labels in (y, (y + 1) % 10))
    assert np.all(right > wrong)
