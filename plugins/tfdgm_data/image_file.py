"""Reading one image file that may be damaged: pixels, or a refusal that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tfdgm import UserError

#: What a file may be, whatever its suffix; PIL reads others by programs of their own, such as Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
#: PIL's names of pixels of more than 8 bits, which it cuts off at 255 instead of scaling them.
_DEEP = ("I", "F")


def check_header(file: Path) -> None:
    """Raises: UserError: the file is no image that `read_square` takes, as far as its header shows."""
    with _opened(file):
        pass


def read_square(file: Path, size: int, channels: int) -> np.ndarray:
    """The middle square of an image, uint8 `[size, size, channels]`: the first frame, turned as EXIF says, no alpha.

    Raises:
      UserError: the file is no image, or is damaged; the message names it.
    """
    with _opened(file) as image:
        upright = ImageOps.exif_transpose(image)
        if "transparency" in upright.info:
            upright = upright.convert("RGBA")  # PIL warns where a palette with transparency loses it in one go
        square = upright.convert("RGB" if channels == 3 else "L")
        side = min(square.size)
        left, top = ((length - side) // 2 for length in square.size)
        box = (left, top, left + side, top + side)
        # `resize` reads only inside the box, and averages over what one new pixel covers
        resized = square.resize((size, size), Image.Resampling.BOX if side >= size else Image.Resampling.BICUBIC, box)
        return np.asarray(resized, np.uint8).reshape(size, size, channels)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """The image with its header read and checked; pixels follow on first use.

    Whatever PIL raises becomes one `UserError`. Its decoders let damaged bytes surface as SyntaxError, struct.error,
    zlib.error, KeyError, MemoryError and others, of which it documents none.
    """
    try:
        with open(file, "rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            width, height = image.size
            if image.mode.startswith(_DEEP):
                raise _refused(file, "it has more than 8 bits per pixel and channel; convert it to 8")
            if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
                raise _refused(file, f"its size, {width} x {height}, is too large to be read safely; make it smaller")
            yield image
    except UserError:
        raise
    except UnidentifiedImageError:
        raise _refused(file, "it is no image") from None
    except PermissionError:
        raise _refused(file, "permission denied") from None
    except Exception as error:
        raise _refused(file, " ".join(str(error).split()) or type(error).__name__) from None


def _refused(file: Path, reason: str) -> UserError:
    return UserError(f"data.image_folder: {file} cannot be read: {reason}")
