"""Images of a folder."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

from tfdgm import Context, Data, DataSpec, Source, UserError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_SPLITS = ("train", "validation", "test")
#: PIL's names of pixels of more than 8 bits, which it cuts off at 255 instead of scaling them.
_DEEP = ("I", "F")


class ImageFolder(Data):
    """Image files below a folder, read from the disk as they are needed, each cropped to its middle square and resized.

    With a subfolder `train` the splits are the subfolders `train`, `validation` and `test` that exist. Without one, all
    images are shuffled once by `numpy.random.RandomState(0)` and divided. Every image's header is read when the run
    starts.

    Args:
      path: the folder.
      size: pixels a side that every image is brought to.
      channels: 3 for colour, 1 for grey.
      validation_share: share of the images that validate, where there is no subfolder `train`.
      test_share: share of the images that test.
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
            f"validation_share {validation_share} and test_share {test_share} must leave something to train on",
        )
        self.path = Path(path)
        self.size = size
        self.channels = channels
        image_shape = (size, size, 3) if channels == 3 else (size, size)
        self.spec = DataSpec(shape=(size, size, channels), low=0.0, high=1.0, levels=256, image_shape=image_shape)
        self._files = self._find(validation_share, test_share)

    def _find(self, validation_share: float, test_share: float) -> dict[str, list[Path]]:
        self.require(self.path.is_dir(), f"there is no folder {self.path}")
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
            self.require(bool(found.get(name)), f"{where} has no image ({', '.join(_SUFFIXES)})")
        for file in (file for files in found.values() for file in files):
            _open(file).close()
        return found

    def splits(self) -> dict[str, Source]:
        return {name: ImageFiles(files, self.size, self.channels) for name, files in self._files.items()}

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Bytes divided by 255."""
        return tf.cast(rows, tf.float32) / 255.0

    def describe(self) -> dict[str, Any]:
        return {
            "source": str(self.path),
            "split": "subfolders" if self.divided else "RandomState(0).permutation of the sorted paths",
            "examples": {name: len(files) for name, files in self._files.items()},
        }


class ImageFiles(Source):
    """Image files, read when they are asked for."""

    def __init__(self, files: list[Path], size: int, channels: int) -> None:
        self.files = files
        self.shape = (size, size, channels)
        self.dtype = np.uint8

    def __len__(self) -> int:
        return len(self.files)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return np.stack([self._read(self.files[index]) for index in indices])

    def _read(self, file: Path) -> np.ndarray:
        size, _, channels = self.shape
        with _open(file) as image:
            try:
                square = ImageOps.exif_transpose(image).convert("RGB" if channels == 3 else "L")
            except OSError as error:
                raise UserError(f"data.image_folder: {file} cannot be read: {error}") from None
        side = min(square.size)
        left, top = ((length - side) // 2 for length in square.size)
        box = (left, top, left + side, top + side)
        # `resize` reads only inside the box, and averages over what one new pixel covers
        resized = square.resize((size, size), Image.Resampling.BOX if side >= size else Image.Resampling.BICUBIC, box)
        return np.asarray(resized, np.uint8).reshape(self.shape)


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())


def _open(file: Path) -> Image.Image:
    """The image with its header read; pixels follow on first use."""
    try:
        image = Image.open(file)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"data.image_folder: {file} cannot be read: {reason}") from None
    if image.mode.startswith(_DEEP):
        raise UserError(f"data.image_folder: {file} has more than 8 bits per pixel and channel; convert it to 8")
    return image
