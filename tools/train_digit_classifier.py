"""Trains the classifier that tells the digits of `data.digits` and `data.stacked_digits` apart, and scores it.

  python tools/train_digit_classifier.py [--output plugins/tfdgm_data/digit_classifier.npz] [--score_only]

An epoch is the 1,297 training images in grey, four times the same in fresh binary pixels, and noise a tenth as large:
images of which each pixel comes from a training image of its own, half of them binary, with labels drawn at random.
Weights are means over the last 100 of 200 epochs (Polyak and Juditsky 1992). Nothing is chosen by the test images;
learning rate and SURE were chosen by the validation images. It takes half a minute on one core. The same versions of
NumPy and scikit-learn give the same weights.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # sums in one order
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from sklearn.neural_network import MLPClassifier
from tfdgm_data.digit_classifier import SURE, DigitClassifier
from tfdgm_data.digits import labelled_digits

EPOCHS, AVERAGED, BINARY = 200, 100, 4


def draw(grey: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    return (random.rand(*grey.shape) < grey).astype(float)


def noise(grey: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Every pixel from an image of its own: each has its distribution, and none knows of the others."""
    return np.stack([random.permutation(pixel) for pixel in grey.T], axis=1)


def epoch(grey: np.ndarray, labels: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    few = len(grey) // 4
    no_digit = noise(grey, random)
    images = [grey, *(draw(grey, random) for _ in range(BINARY))]
    images += [no_digit[:few], draw(no_digit[few : 2 * few], random)]
    return np.concatenate(images), np.concatenate([*[labels] * (1 + BINARY), random.randint(10, size=2 * few)])


def train() -> dict[str, np.ndarray]:
    random = np.random.RandomState(0)
    network = MLPClassifier((128, 64), alpha=1e-2, learning_rate_init=3e-3, batch_size=128, random_state=0)
    total: list[np.ndarray] = []
    for number in range(EPOCHS):
        network.partial_fit(*epoch(*labelled_digits()["train"], random), classes=np.arange(10))
        if number >= EPOCHS - AVERAGED:
            arrays = [*network.coefs_, *network.intercepts_]
            total = [a + b for a, b in zip(total, arrays, strict=True)] if total else [a.copy() for a in arrays]
    names = ["W1", "W2", "W3", "b1", "b2", "b3"]
    return {name: (array / AVERAGED).astype(np.float32) for name, array in zip(names, total, strict=True)}


def scores(split: str) -> Iterator[str]:
    """Accuracies and shares of the images that are recognised; binary pixels and noise are drawn 100 times."""
    random = np.random.RandomState(1)
    grey, labels = labelled_digits()[split]
    classifier = DigitClassifier()
    many = np.tile(grey, (100, 1))
    shuffled = np.concatenate([noise(grey, random) for _ in range(100)])
    for kind, images, no_digits in [("grey", many, shuffled), ("binary", draw(many, random), draw(shuffled, random))]:
        p = classifier.probabilities(images)
        correct = np.mean(p.argmax(axis=1) == np.tile(labels, 100))
        sure = np.mean(p.max(axis=1) >= SURE)
        fooled = np.mean(classifier.probabilities(no_digits).max(axis=1) >= SURE)
        yield f"{split}, {kind}: {correct:.2%} correct, p >= {SURE:.2f} for {sure:.2%}, and for {fooled:.2%} of noise"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parents[1] / "plugins" / "tfdgm_data" / "digit_classifier.npz"
    parser.add_argument("--output", type=Path, default=default)
    parser.add_argument("--score_only", action="store_true", help="score the weights that are there")
    options = parser.parse_args()
    if not options.score_only:
        np.savez_compressed(options.output, **train())
    for split in ("validation", "test"):
        print(*scores(split), sep="\n")


if __name__ == "__main__":
    main()
