"""Images of any size, depth and transparency as arrays of one shape."""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tfdgm_data.image_file import read_opaque

Fit = Literal["crop", "pad"]


@dataclasses.dataclass(frozen=True)
class Framing:
    """How an image file becomes an array of `[height, width, channels]`.

    Attributes:
      height, width: in pixels.
      channels: 3 for colour, 1 for grey.
      fit: "crop" cuts what is too long for the aspect ratio off both ends; "pad" adds background at both ends.
      background: below transparent pixels and in padding; red, green and blue, 0..255.
      white: value of white in grey images of 16 bits.
    """

    height: int
    width: int
    channels: int
    fit: Fit
    background: tuple[int, int, int]
    white: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    def read(self, file: Path) -> np.ndarray:
        """Return an image as uint8 `shape`.

        Raises:
          UserError: the file is not an image, or is damaged; the message names it.
        """
        image = read_opaque(file, self.background, self.white)
        image = image.convert("RGB" if self.channels == 3 else "L")
        framed = self._cropped(image) if self.fit == "crop" else self._padded(image)
        return np.asarray(framed, np.uint8).reshape(self.shape)

    def _cropped(self, image: Image.Image) -> Image.Image:
        """Cut out the largest centred box of the aspect ratio, to whole pixels, and resize it."""
        width, height = image.size
        kept = (
            min(width, max(1, round(height * self.width / self.height))),
            min(height, max(1, round(width * self.height / self.width))),
        )
        left, top = ((length - part) // 2 for length, part in zip(image.size, kept, strict=True))
        return _resized(image, (self.width, self.height), (left, top, left + kept[0], top + kept[1]))

    def _padded(self, image: Image.Image) -> Image.Image:
        """Resize to the largest size of the image's aspect ratio that fits, and put it in the middle."""
        width, height = image.size
        size = (
            min(self.width, max(1, round(width * self.height / height))),
            min(self.height, max(1, round(height * self.width / width))),
        )
        canvas = Image.new("RGB", (self.width, self.height), self.background).convert(image.mode)
        canvas.paste(_resized(image, size, (0, 0, width, height)), _middle((self.width, self.height), size))
        return canvas


def _middle(outer: tuple[int, int], inner: tuple[int, int]) -> tuple[int, int]:
    return (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """Resize a box: means over the area of each new pixel, or if both sides grow, cubic interpolation.

    Pixels outside the box have no influence.
    """
    grows = size[0] > box[2] - box[0] and size[1] > box[3] - box[1]
    return image.resize(size, Image.Resampling.BICUBIC if grows else Image.Resampling.BOX, box)
