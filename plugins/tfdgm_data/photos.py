"""Patches of two photographs that scikit-learn ships; nothing is downloaded."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_sample_images

from tfdgm import Context, Data, DataSpec, Source

#: Columns of each photograph, 640 pixels wide, that a split is cut from; they are disjoint.
_COLUMNS = {"train": [(0, 256), (320, 576)], "validation": [(576, 640)], "test": [(256, 320)]}


class Photos(Data):
    """Square colour patches of the two photographs that scikit-learn ships, a temple and a flower (427 x 640 pixels).

    Each photograph is cut into vertical strips: columns 0-255 and 320-575 for training, 256-319 for test, 576-639 for
    validation. Every patch lies within one strip, so no pixel of a test patch is in the training split. The patches of
    a strip overlap.

    Args:
      size: side of a patch in pixels, at most 64.
      stride: distance between neighbouring patches of the training split in pixels; validation and test use 8.
    """

    def __init__(self, *, size: int = 32, stride: int = 4) -> None:
        self.require(1 <= size <= 64, f"size must be between 1 and 64, the width of a strip, got {size}")
        self.require(stride >= 1, f"stride must be at least 1, got {stride}")
        self.size = size
        self.stride = stride
        self.spec = DataSpec(shape=(size, size, 3), low=0.0, high=1.0, levels=256, image_shape=(size, size, 3))

    def splits(self) -> dict[str, Source]:
        photographs = load_sample_images().images
        return {
            name: Patches(
                [photo[:, first:last] for photo in photographs for first, last in columns],
                self.size,
                self.stride if name == "train" else 8,
            )
            for name, columns in _COLUMNS.items()
        }

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Scale bytes to [0, 1]."""
        return tf.cast(rows, tf.float32) / 255.0

    def describe(self) -> dict[str, Any]:
        return {
            "source": "sklearn.datasets.load_sample_images, china.jpg and flower.jpg",
            "split": "columns 0-255 and 320-575 train, 576-639 validation, 256-319 test; no common pixel",
            "patches": f"{self.size} x {self.size}, stride {self.stride} in training, 8 elsewhere",
        }


class Patches(Source):
    """All patches of some images, in raster order, cut out on demand."""

    def __init__(self, images: list[np.ndarray], size: int, stride: int) -> None:
        self.shape = (size, size, 3)
        self.dtype = np.uint8
        windows = [sliding_window_view(image, (size, size), axis=(0, 1))[::stride, ::stride] for image in images]
        self._windows = windows
        self._counts = np.cumsum([0, *(window.shape[0] * window.shape[1] for window in windows)])

    def __len__(self) -> int:
        return int(self._counts[-1])

    def gather(self, indices: np.ndarray) -> np.ndarray:
        patches = np.empty((len(indices), *self.shape), self.dtype)
        which = np.searchsorted(self._counts, indices, side="right") - 1
        for number, window in enumerate(self._windows):
            selected = np.flatnonzero(which == number)
            rows, columns = np.divmod(np.asarray(indices)[selected] - self._counts[number], window.shape[1])
            patches[selected] = window[rows, columns].transpose(0, 2, 3, 1)
        return patches
