"""Reading an image file that may be damaged: opaque pixels of 8 bits, or an error that names the reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tfdgm import UserError

#: Accepted formats, whatever the suffix; PIL reads some others through external programs such as Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
#: Largest value of 16 bits.
LARGEST = 65_535


def read_opaque(file: Path, background: tuple[int, int, int], white: int) -> Image.Image:
    """Read the first frame, rotated as EXIF says, with what is transparent put on a background.

    Args:
      file: the file.
      background: red, green and blue, 0..255.
      white: value of white in grey images of 16 bits.

    Returns:
      An image of mode L or RGB.

    Raises:
      UserError: the file is not an image, or is damaged; the message names it.
    """
    with _opened(file) as image:
        deep = _is_deep(image)
        image = ImageOps.exif_transpose(image)
        if deep:
            image = _eight_bits(image, white)
        elif "transparency" in image.info:
            image = image.convert("RGBA")  # PIL warns if a palette loses its transparency in one conversion
        if "A" in image.getbands() or "a" in image.getbands():
            below = Image.new("RGBA", image.size, (*background, 255))
            return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")
        return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _is_deep(image: Image.Image) -> bool:
    """Return whether an image is grey with 16 bits; PIL reads such colours as 8 bits itself.

    Raises:
      ValueError: it has 32 bits.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return True
    if image.mode.startswith(("I", "F")):
        raise ValueError("it has 32 bits per pixel and channel; convert it to 8 or 16")
    return False


def _eight_bits(image: Image.Image, white: int) -> Image.Image:
    """Scale 0..white to 0..255; the grey value that a PNG declares transparent becomes so."""
    values = np.asarray(image).astype(np.int64)
    highest = values.max(initial=0)
    if highest > white:
        raise ValueError(f"it has the grey value {highest}, above {white}, data.image_folder.white")
    grey = Image.fromarray(np.round(values * (255 / white)).astype(np.uint8))
    hidden = image.info.get("transparency")
    if hidden is None:
        return grey
    return Image.merge("LA", [grey, Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8))])


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image and check its header; pixels are decoded on first use.

    Every exception of PIL becomes a `UserError`: on damaged bytes its decoders raise SyntaxError, struct.error,
    zlib.error, KeyError, MemoryError and others, none of them documented.
    """
    try:
        if file.exists() and not file.is_file():  # reading a pipe would block
            raise ValueError("it is not a regular file")
        with open(file, "rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            width, height = image.size
            if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
                raise ValueError(f"its size, {width} x {height}, is too large to read safely; make it smaller")
            yield image
    except Exception as error:
        raise UserError(f"data.image_folder: {file} cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image"
    if isinstance(error, PermissionError):
        return "permission denied"
    return " ".join(str(error).split()) or type(error).__name__
