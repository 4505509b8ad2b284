"""CIFAR-10."""

import pickle
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from tfdgm import FilePath
from tfdgm_data.keras_images import KerasImages, Labelled

_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
#: All that the files of CIFAR-10 call, by any version of NumPy.
_ALLOWED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


class CIFAR10(KerasImages):
    """60,000 colour photographs of 32 x 32 pixels in 10 classes (Krizhevsky 2009), with their labels.

    Downloaded once by `keras.datasets.cifar10`, into `~/.keras`, unless `path` is given. The splits are 45,000 training
    images, the 5,000 after them for validation, and the 10,000 test images, in their original order.

    Args:
      path: the folder `cifar-10-batches-py`, as it is distributed for Python, or a `.npz` file, as for `data.mnist`.
      num_validation: number of the last training examples that form the validation split.
    """

    image_shape = (32, 32, 3)
    classes: ClassVar[tuple[str, ...]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    folder_holds = f"{', '.join((*_TRAINING, _TEST))}, as in cifar-10-batches-py"

    def __init__(self, *, path: FilePath | None = None, num_validation: int = 5_000) -> None:
        self.open(path, num_validation, "none")

    def download(self) -> tuple[Labelled, Labelled]:
        return keras.datasets.cifar10.load_data()

    def read_folder(self, folder: Path) -> tuple[Labelled, Labelled]:
        images, labels = zip(*(_batch(folder / name) for name in _TRAINING), strict=True)
        return (np.concatenate(images), np.concatenate(labels)), _batch(folder / _TEST)


def _batch(file: Path) -> Labelled:
    """Read one pickled file: rows of 3 x 32 x 32 bytes, the planes red, green and blue, and their labels."""
    with open(file, "rb") as stream:
        content = Arrays(stream, encoding="bytes").load()
    planes, labels = content[b"data"], np.asarray(content[b"labels"])
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


class Arrays(pickle.Unpickler):
    """Loads arrays, numbers, texts, lists and dicts; anything else in a pickle could run code, and is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no file of CIFAR-10 does")
        return super().find_class(module, name)
