"""MNIST."""

from pathlib import Path
from typing import ClassVar

import keras

from tfdgm import FilePath
from tfdgm_data.binarization import Binarization
from tfdgm_data.idx_images import FILES, read_idx_folder
from tfdgm_data.keras_images import KerasImages, Labelled


class MNIST(KerasImages):
    """The 70,000 handwritten digits of 28 x 28 pixels of LeCun, Cortes and Burges (1998), with their labels.

    Downloaded once by `keras.datasets.mnist`, into `~/.keras`, unless `path` is given. The splits are 55,000
    training images, the 5,000 after them for validation, and the 10,000 test images, in their original order.

    Args:
      path: a `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test`, as Keras stores it, or `train`,
        `train_labels`, `test` and `test_labels`; or a folder with the four original files, packed or not.
      num_validation: number of the last training examples that form the validation split.
      binarization: "dynamic" redraws each training pixel from Bernoulli(grey) at every step, with validation and test
        fixed; "static" also fixes the training split; "none" keeps the 256 grey levels. Fixed pixels of row i are
        `Generator(Philox(key=[seed, i])).random(shape) < grey`, seed 1 for test, 2 validation, 3 training.
    """

    image_shape = (28, 28)
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    folder_holds = f"{', '.join(FILES)} (each may be packed as .gz)"

    def __init__(
        self, *, path: FilePath | None = None, num_validation: int = 5_000, binarization: Binarization = "none"
    ) -> None:
        self.open(path, num_validation, binarization)

    def download(self) -> tuple[Labelled, Labelled]:
        return keras.datasets.mnist.load_data()

    def read_folder(self, folder: Path) -> tuple[Labelled, Labelled]:
        return read_idx_folder(folder)
