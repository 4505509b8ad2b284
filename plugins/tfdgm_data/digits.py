"""Handwritten digits that scikit-learn ships; nothing is downloaded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from tfdgm import ArraySource, ConditionSpec, Context, Data, DataSpec, Modes, Source
from tfdgm_data.binarization import Binarization, draw_pixels
from tfdgm_data.digit_classifier import DigitClassifier


class Digits(Data):
    """The 1,797 digits of 8 x 8 pixels that scikit-learn ships (Alpaydin and Kaynak 1998, UCI), with their labels.

    Split by `numpy.random.RandomState(0).permutation(1797)`: the first 1,297 are the training split, the next 200
    validation, the last 300 test. Grey levels 0..16 are divided by 16.

    The modes are the 10 digits. The features are those of a classifier that is right for 99.0 % of the test images, and
    for 93.8 % of them with binary pixels. An image is of high quality if the classifier gives some digit a probability
    of at least 1/3, which holds for 99.7 % and 99.1 % of the test images.

    Args:
      binarization: "dynamic" redraws each training pixel from Bernoulli(grey) at every step; validation and test are
        fixed by `RandomState(2).rand(200, 64) < x` and `RandomState(1).rand(300, 64) < x`. "static" also fixes the
        training split, by `RandomState(3).rand(1297, 64) < x`. "none" keeps the grey levels. Dynamic and static differ
        by about 2 nats in test likelihood.
    """

    def __init__(self, *, binarization: Binarization = "dynamic") -> None:
        self.binarization = binarization
        self.spec = DataSpec(
            shape=(64,),
            low=0.0,
            high=1.0,
            levels=17 if binarization == "none" else 2,
            binarized=None if binarization == "none" else binarization,
            image_shape=(8, 8),
            condition=ConditionSpec(categories=10, names=tuple("0123456789")),
        )

    def splits(self) -> dict[str, Source]:
        digits = labelled_digits()
        train, validation, test = (grey for grey, _ in digits.values())
        if self.binarization == "static":
            train = np.random.RandomState(3).rand(*train.shape) < train
        if self.binarization != "none":
            validation = np.random.RandomState(2).rand(*validation.shape) < validation
            test = np.random.RandomState(1).rand(*test.shape) < test
        splits = {"train": train, "validation": validation, "test": test}
        return {name: ArraySource(rows.astype(np.float32), digits[name][1]) for name, rows in splits.items()}

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Draw binary pixels from grey ones; rows that are already binary do not change."""
        if self.binarization != "dynamic":
            return rows
        return draw_pixels(rows, context)

    def modes(self) -> Modes:
        return DigitClassifier().modes(channels=1)

    def features(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return the 64 units before the classifier's last layer."""
        return DigitClassifier().features

    def classifier(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return the classifier's digit: right for 99.0 % of the test images, 93.8 % with binary pixels."""
        return lambda x: DigitClassifier().probabilities(x).argmax(axis=1)

    def describe(self) -> dict[str, Any]:
        fixed = "none" if self.binarization == "none" else "static: RandomState({}).rand({}, 64) < x"
        return {
            "source": "sklearn.datasets.load_digits, 1,797 images of 8 x 8",
            "split": "RandomState(0).permutation(1797): 1,297 train, 200 validation, 300 test",
            "binarization_train": {
                "dynamic": "dynamic: Bernoulli(grey) at every step",
                "static": "static: RandomState(3).rand(1297, 64) < x",
                "none": "none",
            }[self.binarization],
            "binarization_validation": fixed.format(2, 200),
            "binarization_test": fixed.format(1, 300),
        }


def labelled_digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return grey levels `[n, 64]` in [0, 1] and classes `[n]` of every split."""
    digits = load_digits()
    order = np.split(np.random.RandomState(0).permutation(1797), [1297, 1497])
    names = ("train", "validation", "test")
    return {name: (digits.data[rows] / 16.0, digits.target[rows]) for name, rows in zip(names, order, strict=True)}
