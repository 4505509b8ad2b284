"""Image files in a folder."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from PIL import ImageColor
from PIL import __version__ as pillow

from tfdgm import ConditionSpec, Context, Data, DataSpec, FilePath, Source, fingerprint_files, warn
from tfdgm_data.framing import Fit, Framing
from tfdgm_data.hashed_splits import split_of
from tfdgm_data.image_file import LARGEST
from tfdgm_data.verified_files import READERS, find_unreadable

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_SPLITS = ("train", "validation", "test")
#: Number of images from which several threads read them.
_MANY = 256


class ImageFolder(Data):
    """Image files below a folder, read from disk on demand, brought to one size.

    Of an animation the first frame is used. Files and folders whose names begin with a dot are ignored, such as the
    `._` companions that macOS writes, and so are links to folders.

    If there is a subfolder `train`, the splits are the existing subfolders `train`, `validation` and `test`. Otherwise
    a hash (SHA-256) of the relative path of each file decides its split, so that adding or removing a file moves no
    other one. The shares are then met in expectation only.

    If every image of a split lies in one of several subfolders of it, these are its classes, and their names in
    alphabetical order the labels.

    Every image is read once when the run starts, to find files that are damaged; what was read is remembered by name,
    size and modification time.

    Args:
      path: the folder.
      size: height and width of every image in pixels, or one number for both.
      channels: 3 for colour, 1 for grey.
      fit: how images of another aspect ratio are brought to it: "crop" keeps the middle, "pad" adds `background`.
      background: colour below what is transparent, and of padding: a name, or "#rrggbb".
      white: value of white in grey images of 16 bits, such as 4095 for cameras of 12 bits. 0..white becomes 0..255;
        larger values are refused. Colours of 16 bits lose their lower 8.
      unreadable: "refuse" ends the run if an image cannot be read; "skip" warns and leaves it out.
      validation_share: expected share of the images in the validation split, if there is no subfolder `train`.
      test_share: expected share of the images in the test split, likewise.
    """

    def __init__(
        self,
        *,
        path: FilePath,
        size: int | tuple[int, int] = 32,
        channels: int = 3,
        fit: Fit = "crop",
        background: str = "white",
        white: int = LARGEST,
        unreadable: Literal["refuse", "skip"] = "refuse",
        validation_share: float = 0.1,
        test_share: float = 0.1,
    ) -> None:
        height, width = self._sides(size)
        self.require(channels in (1, 3), f"channels must be 1 or 3, got {channels}")
        self.require(1 <= white <= LARGEST, f"white must be from 1 to {LARGEST}, got {white}")
        self.require(
            validation_share >= 0 and test_share >= 0 and validation_share + test_share < 1,
            "validation_share and test_share must not be negative and must sum to less than 1, got "
            f"{validation_share} and {test_share}",
        )
        self.path = Path(path)
        self.framing = Framing(height, width, channels, fit, self._colour(background), white)
        self._names = self._find(validation_share, test_share)
        self._skipped = self._verify(refuse=unreadable == "refuse")
        self._labels, classes = self._classes()
        self.spec = DataSpec(
            shape=self.framing.shape,
            low=0.0,
            high=1.0,
            levels=256,
            image_shape=self.framing.shape if channels == 3 else (height, width),
            condition=ConditionSpec(categories=len(classes), names=classes) if classes else None,
        )

    def _sides(self, size: int | tuple[int, int]) -> tuple[int, int]:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        self.require(len(sides) == 2, f"size must be one number, or (height, width), got {size}")
        self.require(min(sides) >= 1, f"size must be at least 1, got {size}")
        return sides[0], sides[1]

    def _colour(self, name: str) -> tuple[int, int, int]:
        colour: tuple[int, ...] = ()
        with contextlib.suppress(ValueError):
            colour = ImageColor.getrgb(name)
        self.require(len(colour) == 3, f'background must be the name of an opaque colour, or "#rrggbb", got {name!r}')
        return colour[0], colour[1], colour[2]

    def _find(self, validation_share: float, test_share: float) -> dict[str, list[str]]:
        """Return the relative paths of the images of every split, in alphabetical order."""
        self.require(not self.path.is_file(), f"{self.path} is a file, not a folder of images")
        self.require(self.path.is_dir(), f"folder not found: {self.path}")
        try:
            names = sorted(_images(self.path))
        except OSError as error:
            self.require(False, f"cannot read the folder {error.filename or self.path}: {error.strerror}")
        self.divided = (self.path / "train").is_dir()
        found: dict[str, list[str]] = {split: [] for split in _SPLITS}
        outside: list[str] = []
        for name in names:
            split = name.partition("/")[0] if self.divided else split_of(name, validation_share, test_share)
            found.get(split, outside).append(name)
        if outside:
            warn(
                f"{self.display_name()}: {len(outside):,} images of {self.path} are not used, since the splits are its "
                f"subfolders {', '.join(_SPLITS)}: the first is {outside[0]}"
            )
        present = [split for split in _SPLITS if split == "train" or (self.divided and (self.path / split).is_dir())]
        for split in present:
            self._require_images(found, split)
        return {split: of_split for split, of_split in found.items() if of_split}

    def _require_images(self, found: dict[str, list[str]], split: str) -> None:
        where = self.path / split if self.divided else self.path
        left_out = " in the training split" if any(found.values()) and not self.divided else ""
        self.require(bool(found.get(split)), f"{where} has no images ({', '.join(_SUFFIXES)}){left_out}")

    def _verify(self, refuse: bool) -> list[str]:
        """Read all files once; return the names of those that cannot be read, which are then left out."""
        names = [name for of_split in self._names.values() for name in of_split]
        failures = find_unreadable(self.path, names, self.framing.read, f"Pillow {pillow}, white {self.framing.white}")
        if not failures:
            return []
        listed = "".join(f"\n  {message.removeprefix('data.image_folder: ')}" for message in failures.values())
        problem = f"{len(failures):,} of {len(names):,} images cannot be used"
        advice = 'repair or remove them, or leave them out: data.image_folder.unreadable = "skip"'
        self.require(not refuse, f"{problem}:{listed}\n{advice}")
        warn(f"{self.display_name()}: {problem} and are left out:{listed}")
        left = {split: [name for name in of_split if name not in failures] for split, of_split in self._names.items()}
        self._require_images(left, "train")
        self._names = {split: of_split for split, of_split in left.items() if of_split}
        return list(failures)

    def _classes(self) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Return the labels of every split, and the names of the classes; both empty if the folder has no classes."""
        folders: dict[str, list[str]] = {}
        for split, names in self._names.items():
            parts = [name.split("/")[1 if self.divided else 0 :] for name in names]
            if any(len(part) == 1 for part in parts):
                return {}, ()
            folders[split] = [part[0] for part in parts]
        classes = sorted({name for of_split in folders.values() for name in of_split})
        if len(classes) < 2:
            return {}, ()
        numbers = {name: number for number, name in enumerate(classes)}
        labels = {split: np.array([numbers[name] for name in found], np.int32) for split, found in folders.items()}
        return labels, tuple(classes)

    def splits(self) -> dict[str, Source]:
        return {
            split: ImageFiles([self.path / name for name in names], self.framing, self._labels.get(split))
            for split, names in self._names.items()
        }

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Scale bytes to [0, 1]."""
        return tf.cast(rows, tf.float32) / 255.0

    def describe(self) -> dict[str, Any]:
        facts = {
            "source": str(self.path),
            "split": "subfolders" if self.divided else "SHA-256 of the relative path",
            "examples": {split: len(names) for split, names in self._names.items()},
        }
        return facts | ({"skipped": self._skipped} if self._skipped else {})


class ImageFiles(Source):
    """Image files, read on demand, with their labels, if there are any."""

    def __init__(self, files: list[Path], framing: Framing, labels: np.ndarray | None = None) -> None:
        self.files = files
        self.framing = framing
        self.labels = labels
        self.shape = framing.shape
        self.dtype = np.uint8

    def __len__(self) -> int:
        return len(self.files)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        rows = np.empty((len(indices), *self.shape), self.dtype)

        def read(place: int) -> None:
            rows[place] = self.framing.read(self.files[indices[place]])

        if len(indices) < _MANY:
            for place in range(len(indices)):
                read(place)
        else:
            with ThreadPoolExecutor(READERS) as pool:
                for _ in pool.map(read, range(len(indices))):  # raises what a thread raised
                    pass
        return rows

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        return super().conditions(indices) if self.labels is None else self.labels[indices]

    def fingerprint(self) -> dict[str, Any]:
        """Identify the files without decoding them; their names determine the labels."""
        return fingerprint_files(self.files)


def _images(root: Path) -> list[str]:
    """Return the relative paths, with `/`, of the image files below a folder that no hidden name is part of.

    Raises:
      OSError: a folder cannot be read.
    """

    def failed(error: OSError) -> None:
        raise error

    found = []
    for folder, subfolders, files in os.walk(root, onerror=failed):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                found.append((below / name).as_posix())
    return found
