"""Three digits as colour channels: which digits they are, and the 1,000 modes."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from small import context
from tfdgm_data.digit_classifier import DigitClassifier
from tfdgm_data.stacked_digits import StackedDigits

from tfdgm import UserError
from tfdgm.evaluation.modes import mode_scores

ORDER = np.random.RandomState(0).permutation(1797)
ROWS = {"train": ORDER[:1297], "validation": ORDER[1297:1497], "test": ORDER[1497:]}
STREAMS = {"train": 0, "validation": 1, "test": 2}
SEEDS = {"train": 3, "validation": 2, "test": 1}
COUNTS = {"train": 50_000, "validation": 2_000, "test": 10_000}


def triples(name, count=None, seed=0):
    """Positions of the three digits of every image among the 1,797."""
    rows = ROWS[name]
    return rows[np.random.RandomState([seed, STREAMS[name]]).randint(len(rows), size=(count or COUNTS[name], 3))]


def grey(name):
    return load_digits().images / 16


def binary(name):
    """The digits with the pixels of one split fixed as `data.digits` fixes them."""
    images = grey(name)
    rows = ROWS[name]
    pixels = np.random.RandomState(SEEDS[name]).rand(len(rows), 64).reshape(-1, 8, 8)
    images[rows] = pixels < images[rows]
    return images


def stacked(images, numbers):
    return np.stack([images[numbers[:, channel]] for channel in range(3)], axis=-1).astype(np.float32)


def everything(source):
    return source.gather(np.arange(len(source)))


@pytest.mark.parametrize("binarization", ["none", "dynamic", "static"])
def test_the_channels_are_the_documented_digits_of_the_same_split(binarization):
    splits = StackedDigits(binarization=binarization).splits()
    assert {name: len(source) for name, source in splits.items()} == COUNTS
    for name, source in splits.items():
        pixels = grey if binarization == "none" or (binarization == "dynamic" and name == "train") else binary
        expected = stacked(pixels(name), triples(name))
        assert source.shape == expected.shape[1:] == (8, 8, 3) and source.dtype == np.float32
        np.testing.assert_array_equal(everything(source), expected)


def test_rows_are_fetched_by_position_in_any_order():
    source = StackedDigits(num_train=50).splits()["train"]
    order = np.array([7, 0, 49, 7])
    np.testing.assert_array_equal(source.gather(order), everything(source)[order])
    assert source.gather(np.array([], int)).shape == (0, 8, 8, 3)


def test_the_triples_depend_on_their_seed_alone():
    first, again, other = (
        everything(StackedDigits(num_train=100, sample_seed=seed).splits()["train"]) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, stacked(grey("train"), triples("train", 100, seed=4)))
    assert np.mean(np.all(first == other, axis=(1, 2, 3))) == 0


def test_a_split_of_no_triples_does_not_exist():
    assert set(StackedDigits(num_validation=0, num_test=0).splits()) == {"train"}


def test_x_is_described_as_the_digits_are():
    spec = StackedDigits().spec
    assert (spec.shape, spec.image_shape) == ((8, 8, 3), (8, 8, 3))
    assert (spec.low, spec.high, spec.levels, spec.binarized) == (0.0, 1.0, 17, None)
    spec = StackedDigits(binarization="dynamic").spec
    assert (spec.levels, spec.binarized) == (2, "dynamic")
    facts = StackedDigits(binarization="dynamic").describe()
    assert facts["examples"] == COUNTS and "RandomState([0, k])" in facts["drawn"]
    assert facts["binarization_train"].startswith("dynamic") and facts["binarization_test"].startswith("static")


def test_dynamic_pixels_are_drawn_anew_at_every_step():
    data = StackedDigits(binarization="dynamic")
    rows = tf.constant(data.splits()["train"].gather(np.arange(10)))
    observe = tf.function(lambda step: data.observe(rows, context(step=step)), jit_compile=True)
    draws = np.stack([observe(tf.constant(step)).numpy() for step in range(300)])
    assert set(np.unique(draws)) == {0.0, 1.0}
    error = np.sqrt(rows * (1 - rows) / 300)
    assert np.all(np.abs(draws.mean(0) - rows) <= 5 * error)  # 1,920 pixels, five standard errors
    np.testing.assert_array_equal(StackedDigits().observe(rows, context()), rows)


def test_a_mode_is_the_number_that_its_digits_write():
    # one image of each digit that the classifier is certain of
    images, classes = load_digits().images / 16, load_digits().target
    p = DigitClassifier().probabilities(images.reshape(-1, 64))
    best = np.array([np.argmax(p[:, digit]) for digit in range(10)])
    assert np.all(classes[best] == np.arange(10))
    number = np.arange(1000)
    digits = np.stack([number // 100, number // 10 % 10, number % 10], axis=1)
    modes = StackedDigits().modes()
    assert modes.count == 1000
    mode, high_quality = modes.assign(stacked(images, best[digits]))
    np.testing.assert_array_equal(mode, number)
    assert np.all(high_quality)


def test_the_test_images_have_all_modes_and_the_documented_shares():
    data = StackedDigits()
    x = everything(data.splits()["test"])
    classes = load_digits().target[triples("test")]
    mode, high_quality = data.modes().assign(x)
    assert len(np.unique(mode[high_quality])) == 1000
    assert high_quality.mean() == pytest.approx(0.991, abs=6e-4)  # as rounded in the docstring
    assert np.mean(mode == classes @ [100, 10, 1]) == pytest.approx(0.972, abs=6e-4)


def test_binary_test_images_have_the_documented_shares():
    data = StackedDigits()
    classes = load_digits().target[triples("test")]
    x = everything(data.splits()["test"])
    x = (np.random.RandomState(0).rand(*x.shape) < x).astype(np.float32)
    mode, high_quality = data.modes().assign(x)
    # 10,000 images with pixels of their own: standard errors of 0.17 and 0.38 percentage points; four, and rounding
    assert high_quality.mean() == pytest.approx(0.971, abs=0.008)
    assert np.mean(mode == classes @ [100, 10, 1]) == pytest.approx(0.826, abs=0.016)


def test_training_images_are_as_even_over_the_modes_as_documented():
    classes = load_digits().target[ROWS["train"]]
    share = np.bincount(classes) / len(classes)
    assert 3 * np.sum(share * np.log(10 * share)) == pytest.approx(0.004, abs=5e-4)
    data = StackedDigits()
    scores = mode_scores(everything(data.splits()["train"]), data.modes())
    assert scores["modes"] == 1000 and scores["high_quality"] > 0.999
    # the plug-in estimate is above it by 999 / 2n = 0.01, plus and minus sqrt(999 / 2) / n
    assert scores["reverse_kl"] == pytest.approx(0.004 + 0.01, abs=0.002)


def test_noise_is_of_low_quality():
    random = np.random.RandomState(0)
    noise = random.rand(1000, 8, 8, 3).astype(np.float32)
    assert StackedDigits().modes().assign(noise)[1].mean() < 0.001
    x = everything(StackedDigits().splits()["test"])[:2000].reshape(2000, -1)
    # every pixel from an image of its own: a cube of the shares 3.6 % and 31.5 % that the classifier documents
    shuffled = np.stack([random.permutation(pixel) for pixel in x.T], axis=1).reshape(-1, 8, 8, 3)
    assert StackedDigits().modes().assign(shuffled)[1].mean() < 0.005
    pixels = (random.rand(*shuffled.shape) < shuffled).astype(np.float32)
    assert StackedDigits().modes().assign(pixels)[1].mean() < 0.05


def test_features_are_those_of_the_three_channels():
    data = StackedDigits()
    x = data.splits()["test"].gather(np.arange(20))
    features = data.features()(x)
    assert features.shape == (20, 192)
    for channel in range(3):
        expected = DigitClassifier().features(x[..., channel].reshape(20, 64))
        np.testing.assert_allclose(features[:, 64 * channel : 64 * (channel + 1)], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"num_train": 0}, "num_train must be at least 1, got 0"),
        ({"num_validation": -1}, "num_validation must not be negative, got -1"),
        ({"num_test": -1}, "num_test must not be negative, got -1"),
        ({"sample_seed": 2**32}, r"sample_seed must be from 0 to 2\^32 - 1"),
        ({"binarization": "sometimes"}, "'sometimes'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, expected):
    with pytest.raises(UserError, match=expected):
        StackedDigits(**settings)
