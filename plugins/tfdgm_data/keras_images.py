"""Images with labels that `keras.datasets` downloads, or of a file or folder of one's own."""

import zipfile
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfdgm import ArraySource, ConditionSpec, Context, Data, DataSpec, Source, UserError
from tfdgm_data.binarization import Binarization, binarized, describe_binarization, observe_bytes

#: (images, labels) of one split.
Labelled = tuple[np.ndarray, np.ndarray]
#: Names of the arrays of a `.npz` file: those of Keras, or those of `data.npz`.
_ARRAYS = (("x_train", "y_train", "x_test", "y_test"), ("train", "train_labels", "test", "test_labels"))


class KerasImages(Data):
    """Base of the data sets of `keras.datasets`: images of bytes with labels, split into training and test.

    The last `num_validation` training examples are the validation split.

    Attributes:
      image_shape: of the images, as Keras stores them.
      classes: names of the labels.
      folder_holds: what a folder of one's own has to hold, for messages.
    """

    image_shape: ClassVar[tuple[int, ...]]
    classes: ClassVar[tuple[str, ...]]
    folder_holds: ClassVar[str]

    @abstractmethod
    def download(self) -> tuple[Labelled, Labelled]:
        """Return training and test examples; Keras downloads them once, into its own folder."""

    @abstractmethod
    def read_folder(self, folder: Path) -> tuple[Labelled, Labelled]:
        """Return training and test examples of a folder.

        Raises:
          OSError: a file is missing or cannot be read.
          ValueError: a file is damaged.
        """

    def open(self, path: str | None, num_validation: int, binarization: Binarization) -> None:
        """Read and check the data, and set `spec`."""
        self.require(num_validation >= 0, f"num_validation must not be negative, got {num_validation}")
        self.path = path
        self.binarization: Binarization = binarization
        (train, train_labels), (test, test_labels) = self._downloaded() if path is None else self._own(Path(path))
        self._check("training", train, train_labels)
        self._check("test", test, test_labels)
        first = len(train) - num_validation
        self.require(
            first > 0,
            f"num_validation must be less than {len(train):,}, the number of training examples, got {num_validation}",
        )
        grey = len(self.image_shape) == 2
        shape = (*self.image_shape, 1) if grey else self.image_shape
        parts = {
            "train": (train[:first], train_labels[:first]),
            "validation": (train[first:], train_labels[first:]),
            "test": (test, test_labels),
        }
        self._sources = binarized(
            {
                name: ArraySource(images.reshape(-1, *shape), labels.astype(np.int32).reshape(-1))
                for name, (images, labels) in parts.items()
                if len(images)
            },
            binarization,
        )
        binary = binarization != "none"
        self.spec = DataSpec(
            shape=shape,
            low=0.0,
            high=1.0,
            levels=2 if binary else 256,
            binarized=binarization if binary else None,
            image_shape=self.image_shape,
            condition=ConditionSpec(categories=len(self.classes), names=self.classes),
        )

    def _downloaded(self) -> tuple[Labelled, Labelled]:
        try:
            return self.download()
        except Exception as error:  # of urllib, of Keras's checksums, of a full disk
            name = self.display_name()
            raise UserError(
                f"{name}: keras.datasets could not download the images: {_one_line(error)}. Start once where there is "
                f'a network, or write {name}.path = "...", for a .npz file with the arrays {", ".join(_ARRAYS[0])}, '
                f"or a folder with {self.folder_holds}"
            ) from None

    def _own(self, path: Path) -> tuple[Labelled, Labelled]:
        self.require(path.exists(), f"file or folder not found: {path}")
        if not path.is_dir():
            return self._arrays(path)
        try:
            return self.read_folder(path)
        except FileNotFoundError as error:
            self.require(False, f"{error.filename} is missing; the folder has to hold {self.folder_holds}")
            raise
        except Exception as error:
            raise UserError(f"{self.display_name()}: {path} cannot be read: {_one_line(error)}") from None

    def _arrays(self, path: Path) -> tuple[Labelled, Labelled]:
        self.require(zipfile.is_zipfile(path), f"{path} is not a .npz file")
        try:
            with np.load(path, allow_pickle=False) as archive:
                names = next((names for names in _ARRAYS if names[0] in archive), _ARRAYS[0])
                missing = [name for name in names if name not in archive]
                self.require(not missing, f"{path} has no array {', '.join(map(repr, missing))}")
                train, train_labels, test, test_labels = (archive[name] for name in names)
        except UserError:
            raise
        except Exception as error:  # of zipfile, zlib and NumPy on damaged bytes
            raise UserError(f"{self.display_name()}: {path} cannot be read: {_one_line(error)}") from None
        return (train, train_labels), (test, test_labels)

    def _check(self, split: str, images: np.ndarray, labels: np.ndarray) -> None:
        where = f"the {split} images"
        grey = len(self.image_shape) == 2
        shapes = (self.image_shape, (*self.image_shape, 1)) if grey else (self.image_shape,)
        self.require(
            images.dtype == np.uint8 and images.shape[1:] in shapes and len(images) > 0,
            f"{where} must be bytes of shape [examples, {', '.join(map(str, self.image_shape))}], got {images.dtype} "
            f"{list(images.shape)}",
        )
        self.require(labels.size == len(images), f"there are {len(images):,} of {where}, but {labels.size:,} labels")
        integers = np.issubdtype(labels.dtype, np.integer)
        self.require(
            integers and labels.min() >= 0 and labels.max() < len(self.classes),
            f"labels of {where} must be integers in 0..{len(self.classes) - 1}",
        )

    def splits(self) -> dict[str, Source]:
        return dict(self._sources)

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Scale bytes to [0, 1], and draw binary pixels if binarization is dynamic."""
        return observe_bytes(rows, self.binarization, context)

    def describe(self) -> dict[str, Any]:
        return {
            "source": self.path or "keras.datasets",
            "split": {name: len(source) for name, source in self._sources.items()},
            **describe_binarization(self._sources, self.binarization),
        }


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
