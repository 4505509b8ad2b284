"""Reading an image file that may be damaged: the pixels, or an error that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tfdgm import UserError

#: Accepted formats, whatever the suffix; PIL reads some others through external programs such as Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
#: PIL modes with more than 8 bits per channel, which PIL clips at 255 instead of scaling.
_DEEP = ("I", "F")


def check_header(file: Path) -> None:
    """Check from the header that `read_square` accepts the file.

    Raises:
      UserError: it does not; the message names the file.
    """
    with _opened(file):
        pass


def read_square(file: Path, size: int, channels: int) -> np.ndarray:
    """Read the centre square of an image: first frame, rotated as EXIF says, without alpha.

    Returns:
      uint8 `[size, size, channels]`.

    Raises:
      UserError: the file is not an image, or is damaged; the message names it.
    """
    with _opened(file) as image:
        upright = ImageOps.exif_transpose(image)
        if "transparency" in upright.info:
            upright = upright.convert("RGBA")  # PIL warns if a palette loses its transparency in one conversion
        square = upright.convert("RGB" if channels == 3 else "L")
        side = min(square.size)
        left, top = ((length - side) // 2 for length in square.size)
        box = (left, top, left + side, top + side)
        # `resize` reads inside the box only; the box filter averages over the area of each new pixel
        resized = square.resize((size, size), Image.Resampling.BOX if side >= size else Image.Resampling.BICUBIC, box)
        return np.asarray(resized, np.uint8).reshape(size, size, channels)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image and check its header; pixels are decoded on first use.

    Every exception of PIL becomes a `UserError`: on damaged bytes its decoders raise SyntaxError, struct.error,
    zlib.error, KeyError, MemoryError and others, none of them documented.
    """
    try:
        with open(file, "rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            width, height = image.size
            if image.mode.startswith(_DEEP):
                raise _refused(file, "it has more than 8 bits per pixel and channel; convert it to 8")
            if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
                raise _refused(file, f"its size, {width} x {height}, is too large to read safely; make it smaller")
            yield image
    except UserError:
        raise
    except UnidentifiedImageError:
        raise _refused(file, "it is not an image") from None
    except PermissionError:
        raise _refused(file, "permission denied") from None
    except Exception as error:
        raise _refused(file, " ".join(str(error).split()) or type(error).__name__) from None


def _refused(file: Path, reason: str) -> UserError:
    return UserError(f"data.image_folder: {file} cannot be read: {reason}")
