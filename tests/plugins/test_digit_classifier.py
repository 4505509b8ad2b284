"""The classifier of the digits: its formula and its documented accuracies."""

import re

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from tfdgm_data.digit_classifier import SURE, DigitClassifier, split_channels
from tfdgm_data.digits import Digits, labelled_digits

CLASSIFIER = DigitClassifier()


def drawn(grey):
    return (np.random.RandomState(0).rand(*grey.shape) < grey).astype(np.float32)


def noise(grey):
    """Every pixel from an image of its own."""
    random = np.random.RandomState(0)
    return np.stack([random.permutation(pixel) for pixel in grey.T], axis=1)


def documented(row):
    """The two percentages of a row of the table."""
    line = next(line for line in DigitClassifier.__doc__.splitlines() if line.strip().startswith(f"| {row}"))
    return [float(number) / 100 for number in re.findall(r"([\d.]+) %", line)]


def test_the_labels_are_those_of_the_rows():
    order = np.random.RandomState(0).permutation(1797)
    digits = load_digits()
    labelled = labelled_digits()
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in labelled.values()]), digits.target[order])
    np.testing.assert_array_equal(np.concatenate([grey for grey, _ in labelled.values()]), digits.data[order] / 16)
    for name, source in Digits(binarization="none").splits().items():
        np.testing.assert_array_equal(source.rows, labelled[name][0].astype(np.float32))


def test_the_classifier_computes_its_formula():
    x = labelled_digits()["test"][0][:7]
    (w1, w2, w3), (b1, b2, b3) = CLASSIFIER.weights, CLASSIFIER.biases
    assert [w.shape for w in CLASSIFIER.weights] == [(64, 128), (128, 64), (64, 10)]
    for row in x:
        h1 = np.clip(row @ w1.astype(np.float64) + b1, 0, None)
        h2 = np.clip(h1 @ w2.astype(np.float64) + b2, 0, None)
        # float32 against float64
        np.testing.assert_allclose(CLASSIFIER.features(row[None].astype(np.float32))[0], h2, rtol=1e-4, atol=1e-5)
        p = CLASSIFIER.probabilities(row[None].astype(np.float32))[0]
        np.testing.assert_allclose(p, softmax(h2 @ w3 + b3), rtol=1e-4, atol=1e-6)


def test_large_values_do_not_overflow():
    p = CLASSIFIER.probabilities(np.full((1, 64), 1e4, np.float32))
    assert np.all(np.isfinite(p)) and p.sum() == pytest.approx(1, abs=1e-5)


def test_the_documentation_has_its_accuracies():
    grey, labels = labelled_digits()["test"]
    many = np.tile(grey, (100, 1))
    shares = []
    for images, no_digits in [(grey, noise(many)), (drawn(many), drawn(noise(many)))]:
        p = CLASSIFIER.probabilities(images)
        right = p.argmax(axis=1) == np.resize(labels, len(images))
        fooled = CLASSIFIER.probabilities(no_digits).max(axis=1) >= SURE
        shares.append([right.mean(), np.mean(p.max(axis=1) >= SURE), fooled.mean()])
    # 30,000 other draws of the pixels and of the noise: at most 0.3 percentage points of standard error, and rounding
    for row, found in zip(
        ["classified correctly", "a class has p", "the same for noise"], zip(*shares, strict=True), strict=True
    ):
        assert documented(row) == pytest.approx(found, abs=0.012), row


def test_channels_are_taken_apart_one_after_the_other():
    x = np.arange(2 * 192).reshape(2, 8, 8, 3)
    apart = split_channels(x, 3)
    for image in range(2):
        for channel in range(3):
            np.testing.assert_array_equal(apart[3 * image + channel], x[image, ..., channel].reshape(-1))
    rows = np.arange(2 * 64).reshape(2, 64)
    np.testing.assert_array_equal(split_channels(rows, 1), rows)
