"""Fashion-MNIST."""

from typing import ClassVar

import keras

from tfdgm_data.keras_images import Labelled
from tfdgm_data.mnist import MNIST


class FashionMNIST(MNIST):
    """70,000 articles of clothing of 28 x 28 pixels in the format of MNIST (Xiao et al. 2017, arXiv 1708.07747).

    Downloaded once by `keras.datasets.fashion_mnist`, into `~/.keras`, unless `path` is given. The splits are as those
    of `data.mnist`: 55,000, 5,000 and 10,000 images in their original order.

    Args:
      path: a `.npz` file or a folder, as for `data.mnist`.
      num_validation: number of the last training examples that form the validation split.
      binarization: "none", "dynamic" or "static", as for `data.mnist`.
    """

    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip

    def download(self) -> tuple[Labelled, Labelled]:
        return keras.datasets.fashion_mnist.load_data()
