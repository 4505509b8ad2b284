"""A classifier of digits of 8 x 8 pixels."""

from pathlib import Path

import numpy as np

from tfdgm import Modes

#: Smallest class probability at which an image counts as a digit. At least 95 % of the triples of validation images
#: reach it, grey or binary.
SURE = 1 / 3


class DigitClassifier:
    """A multilayer perceptron of 64-128-64-10 units, trained by `tools/train_digit_classifier.py`.

        h1 = relu(x W1 + b1),  h2 = relu(h1 W2 + b2),  p(class | x) = softmax(h2 W3 + b3)

    The input is grey levels in [0, 1] or binary pixels. The classifier was trained on both, made from the 1,297
    training images of `data.digits` only, and on noise with labels redrawn at every step, so that it assigns low
    confidence to images that are not digits.

    | on the 300 test images | grey | binary |
    | --- | ---: | ---: |
    | classified correctly | 99.0 % | 93.8 % |
    | a class has p >= SURE | 99.7 % | 99.1 % |
    | the same for noise, each pixel taken from a different image | 3.6 % | 31.5 % |

    The binary column is a mean over 100 draws of the pixels.
    """

    def __init__(self) -> None:
        with np.load(Path(__file__).with_name("digit_classifier.npz")) as arrays:
            self.weights = [arrays[f"W{layer}"] for layer in (1, 2, 3)]
            self.biases = [arrays[f"b{layer}"] for layer in (1, 2, 3)]

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return h2 `[n, 64]` for images x `[n, 64]`."""
        h = x
        for weight, bias in zip(self.weights[:2], self.biases[:2], strict=True):
            h = np.maximum(h @ weight + bias, 0)
        return h

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return p(class | x) `[n, 10]` for images x `[n, 64]`."""
        logits = self.features(x) @ self.weights[2] + self.biases[2]
        unnormalised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return unnormalised / unnormalised.sum(axis=1, keepdims=True)

    def modes(self, channels: int) -> Modes:
        """Return the 10^channels combinations of digits in images `[n, ..., channels]`; one channel needs no axis.

        The number of a mode consists of the digits of its channels, in order. An image is of high quality if every
        channel has a class with p >= SURE.
        """

        def assign(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            p = self.probabilities(split_channels(x, channels)).reshape(len(x), channels, 10)
            place = 10 ** np.arange(channels)[::-1]
            return p.argmax(axis=2) @ place, np.all(p.max(axis=2) >= SURE, axis=1)

        return Modes(10**channels, assign)


def split_channels(x: np.ndarray, channels: int) -> np.ndarray:
    """Reshape images `[n, ..., channels]` to `[n * channels, 64]`, the channels of each image in order."""
    return np.moveaxis(x.reshape(len(x), 64, channels), 2, 1).reshape(-1, 64)
