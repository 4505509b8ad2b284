"""Image files in a folder."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm import ConditionSpec, Context, Data, DataSpec, Source
from tfdgm_data.image_file import check_header, read_square

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_SPLITS = ("train", "validation", "test")


class ImageFolder(Data):
    """Image files below a folder, read from disk on demand, cropped to their centre square and resized.

    Of an animation the first frame is used; transparency is dropped.

    If there is a subfolder `train`, the splits are the existing subfolders `train`, `validation` and `test`. Otherwise
    all images are shuffled once by `numpy.random.RandomState(0)` and divided. The header of every image is read when
    the run starts.

    If every image of a split lies in one of several subfolders of it, these are its classes, and their names in
    alphabetical order the labels.

    Args:
      path: the folder.
      size: side of every image after resizing, in pixels.
      channels: 3 for colour, 1 for grey.
      validation_share: share of the images in the validation split, if there is no subfolder `train`.
      test_share: share of the images in the test split, likewise.
    """

    def __init__(
        self,
        *,
        path: str,
        size: int = 32,
        channels: int = 3,
        validation_share: float = 0.1,
        test_share: float = 0.1,
    ) -> None:
        self.require(size >= 1, f"size must be at least 1, got {size}")
        self.require(channels in (1, 3), f"channels must be 1 or 3, got {channels}")
        self.require(
            validation_share >= 0 and test_share >= 0 and validation_share + test_share < 1,
            "validation_share and test_share must not be negative and must sum to less than 1, got "
            f"{validation_share} and {test_share}",
        )
        self.path = Path(path)
        self.size = size
        self.channels = channels
        image_shape = (size, size, 3) if channels == 3 else (size, size)
        self._files = self._find(validation_share, test_share)
        self._labels, names = self._classes()
        self.spec = DataSpec(
            shape=(size, size, channels),
            low=0.0,
            high=1.0,
            levels=256,
            image_shape=image_shape,
            condition=ConditionSpec(categories=len(names), names=names) if names else None,
        )

    def _find(self, validation_share: float, test_share: float) -> dict[str, list[Path]]:
        try:
            self.require(not self.path.is_file(), f"{self.path} is a file, not a folder of images")
            self.require(self.path.is_dir(), f"folder not found: {self.path}")
            next(self.path.iterdir(), None)
        except OSError as error:
            self.require(False, f"cannot read the folder {self.path}: {error.strerror}")
        self.divided = (self.path / "train").is_dir()
        if self.divided:
            found = {name: _images(self.path / name) for name in _SPLITS if (self.path / name).is_dir()}
        else:
            files = _images(self.path)
            order = np.random.RandomState(0).permutation(len(files))
            edges = np.cumsum([int(len(files) * test_share), int(len(files) * validation_share)])
            pieces = zip(("test", "validation", "train"), np.split(order, edges), strict=True)
            found = {name: [files[i] for i in piece] for name, piece in pieces if len(piece)}
        for name in ("train", *found):
            where = self.path / name if self.divided else self.path
            self.require(bool(found.get(name)), f"{where} has no images ({', '.join(_SUFFIXES)})")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns of large images, which are refused, and of damaged metadata
            for file in (file for files in found.values() for file in files):
                check_header(file)
        return found

    def _classes(self) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Return the labels of every split, and the names of the classes; both empty if the folder has no classes."""
        folders: dict[str, list[str]] = {}
        for split, files in self._files.items():
            root = self.path / split if self.divided else self.path
            parts = [file.relative_to(root).parts for file in files]
            if any(len(part) == 1 for part in parts):
                return {}, ()
            folders[split] = [part[0] for part in parts]
        names = sorted({name for of_split in folders.values() for name in of_split})
        if len(names) < 2:
            return {}, ()
        numbers = {name: number for number, name in enumerate(names)}
        labels = {split: np.array([numbers[name] for name in found], np.int32) for split, found in folders.items()}
        return labels, tuple(names)

    def splits(self) -> dict[str, Source]:
        return {
            name: ImageFiles(files, self.size, self.channels, self._labels.get(name))
            for name, files in self._files.items()
        }

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Scale bytes to [0, 1]."""
        return tf.cast(rows, tf.float32) / 255.0

    def describe(self) -> dict[str, Any]:
        return {
            "source": str(self.path),
            "split": "subfolders" if self.divided else "RandomState(0).permutation of the sorted paths",
            "examples": {name: len(files) for name, files in self._files.items()},
        }


class ImageFiles(Source):
    """Image files, read on demand, with their labels, if there are any."""

    def __init__(self, files: list[Path], size: int, channels: int, labels: np.ndarray | None = None) -> None:
        self.files = files
        self.labels = labels
        self.shape = (size, size, channels)
        self.dtype = np.uint8

    def __len__(self) -> int:
        return len(self.files)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        size, _, channels = self.shape
        return np.stack([read_square(self.files[index], size, channels) for index in indices])

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        return super().conditions(indices) if self.labels is None else self.labels[indices]


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
