"""Damaged data files: each is read as valid values, or refused by one `UserError`; never another exception."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image
from tfdgm_data.framing import Framing
from tfdgm_data.image_folder import ImageFolder
from tfdgm_data.npz import Npz

from tfdgm import UserError

RANDOM = np.random.RandomState(0)
FLOATS = RANDOM.rand(6, 3).astype(np.float32)
COLOUR = Image.fromarray(RANDOM.randint(0, 256, (9, 7, 3)).astype(np.uint8))
WHITE = (255, 255, 255)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("TFDGM_CACHE", "off")


def damaged(whole, flips=250, cuts=60):
    """Copies of some bytes: with one bit flipped, with several bytes replaced, and cut off."""
    random = np.random.RandomState(1)
    for position in np.linspace(0, 8 * len(whole) - 1, flips).astype(int):
        copy = bytearray(whole)
        copy[position // 8] ^= 1 << position % 8
        yield bytes(copy)
    for _ in range(flips // 5):
        copy = bytearray(whole)
        for position in random.randint(len(whole), size=10):
            copy[position] = random.randint(256)
        yield bytes(copy)
    for length in np.linspace(0, len(whole) - 1, cuts).astype(int):
        yield whole[:length]


def one_line(raised, path):
    message = str(raised)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("rows", [FLOATS, np.asfortranarray(FLOATS.astype(">f8")), (255 * FLOATS).astype(np.uint8)])
def test_a_damaged_archive_gives_its_own_values_or_one_refusal(tmp_path, save, rows):
    path = tmp_path / "data.npz"
    save(path, train=rows, test=rows[:2])
    read = refusals = 0
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            splits = Npz(path=str(path)).splits()
        except UserError as error:
            one_line(error, path)
            refusals += 1
            continue
        for name, expected in {"train": rows, "test": rows[:2]}.items():
            if name in splits:  # checksums leave no other values
                np.testing.assert_array_equal(splits[name].gather(np.arange(len(splits[name]))), expected)
        read += 1
    assert read > 20 and refusals > 200  # dates and versions of an archive do not matter, the rest does


def archive(path, compression=zipfile.ZIP_STORED, **members):
    """An archive whose checksums are right, whatever its members hold."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return str(path)


def array_bytes(rows, **header):
    """The `.npy` bytes of an array, with entries of its header replaced."""
    stream = io.BytesIO()
    described = np.lib.format.header_data_from_array_1_0(rows) | header
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue() + rows.tobytes()


LONG_HEADER = (
    b"\x93NUMPY\x01\x00" + struct.pack("<H", 60_000) + b"{'descr': '<f4', 'fortran_order': False, 'shape': (6, 3)}"
)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "content, reason",
    [
        (array_bytes(FLOATS, shape=(7, 3)), "claims shape (7, 3) of float32, 84 bytes, but 72 follow it"),
        (array_bytes(FLOATS, shape=(5, 3)), "claims shape (5, 3) of float32, 60 bytes, but 72 follow it"),
        (array_bytes(FLOATS, shape=(10**15, 3)), "12000000000000000 bytes, but 72 follow it"),
        (array_bytes(FLOATS, shape=(2**62, 2**62, 2**62)), "but 72 follow it"),
        (array_bytes(FLOATS, shape=(-6, -3)), "claims shape (-6, -3)"),
        (array_bytes(FLOATS, descr="|O"), "contains Python objects"),
        (array_bytes(FLOATS, descr=[("a", "<f4")]), "has dtype [('a', '<f4')]"),
        (array_bytes(FLOATS, descr="<M8[s]"), "has dtype datetime64[s]"),
        (array_bytes(FLOATS, descr="nonsense"), "may be damaged"),
        (array_bytes(FLOATS)[:80], "may be damaged"),
        (b"", "may be damaged"),
        (b"\x93NUMPY\x03\x00" + array_bytes(FLOATS)[8:], "has an unsupported header version, 3.0"),
        (b"\x93NUMPY\x09\x09" + array_bytes(FLOATS)[8:], "has an unsupported header version, 9.9"),
        # the header ends behind its member, in the next one's bytes
        (LONG_HEADER + FLOATS.tobytes(), "may be damaged"),
    ],
    ids=range(14),
)
def test_a_header_that_does_not_match_its_member_is_refused(tmp_path, compression, content, reason):
    path = archive(tmp_path / "data.npz", compression, train=content, test=array_bytes(np.ones((9_000, 3))))
    with pytest.raises(UserError) as raised:
        Npz(path=path)
    assert reason in one_line(raised.value, path)


def test_a_compressed_member_that_claims_more_than_deflate_can_hold_takes_no_memory(tmp_path):
    path = tmp_path / "data.npz"
    archive(path, zipfile.ZIP_DEFLATED, train=array_bytes(np.zeros((10_000, 3))))
    content = path.read_bytes()
    sizes = struct.pack("<I", 128 + 240_000)  # in both headers of the member
    assert content.count(sizes) == 2
    path.write_bytes(content.replace(sizes, struct.pack("<I", 0xF0000000)))
    with pytest.raises(UserError, match="bytes cannot hold the 4026531840 claimed"):
        Npz(path=str(path))


IMAGES = {
    "png": (COLOUR, {}),
    "palette.png": (COLOUR.quantize(8), {"transparency": b"\x00\x80\xff"}),
    "gif": (COLOUR.quantize(8), {"save_all": True, "append_images": [COLOUR.quantize(4)]}),
    "jpg": (COLOUR, {"progressive": True}),
    "tif": (COLOUR, {}),
    "lzw.tif": (COLOUR, {"compression": "tiff_lzw"}),
    "bmp": (COLOUR, {}),
    "webp": (COLOUR, {"lossless": True}),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_a_damaged_image_gives_pixels_or_one_refusal(tmp_path, kind):
    image, settings = IMAGES[kind]
    path = tmp_path / f"image.{kind.split('.')[-1]}"
    image.save(path, **settings)
    read = refusals = 0
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PIL's, of metadata
                pixels = Framing(4, 4, 3, "crop", WHITE, 65_535).read(path)
        except UserError as error:
            one_line(error, path)
            refusals += 1
            continue
        assert pixels.shape == (4, 4, 3) and pixels.dtype == np.uint8
        read += 1
    assert read > 5 and refusals > 20


def png(width, height, *, depth=8, kind=2, pixels=b""):
    """A PNG with right checksums, whatever it claims."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zipfile.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content, reason",
    [
        (png(0, 5), "it is not an image"),
        (png(5, 5), "cannot be read: "),  # no pixel follows
        (png(5, 5, pixels=b"no stream of zlib"), "cannot be read: "),
        (png(12_000, 10_000), "its size, 12000 x 10000, is too large to read safely"),
        (png(60_000, 60_000), "cannot be read: Image size (3600000000 pixels) exceeds limit"),
        (png(5, 5, depth=16, kind=0), "cannot be read: "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is not an image"),  # which PIL gives to Ghostscript
    ],
    ids=["no width", "no pixels", "broken pixels", "large", "huge", "no pixels of 16 bits", "PostScript"],
)
def test_a_broken_image_is_refused_before_training(tmp_path, content, reason):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is printed besides
        with pytest.raises(UserError, match="1 of 1 images cannot be used") as raised:
            ImageFolder(path=str(tmp_path), validation_share=0.0, test_share=0.0)
    (line,) = (line for line in str(raised.value).splitlines() if str(path) in line)
    assert reason in line


def test_an_unreadable_or_deleted_image_is_reported(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    COLOUR.save(path)
    source = ImageFolder(path=str(tmp_path), validation_share=0.0, test_share=0.0).splits()["train"]

    def denied(*arguments, **named):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:  # permissions do not bind a test that runs as root
        patched.setattr("builtins.open", denied)
        with pytest.raises(UserError, match=r"image\.png cannot be read: permission denied"):
            source.gather(np.array([0]))
    path.unlink()
    with pytest.raises(UserError, match=r"image\.png cannot be read: .*No such file"):
        source.gather(np.array([0]))


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    COLOUR.save(tmp_path / "image.png")

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(UserError, match=r"cannot read the folder .*: Permission denied"):
        ImageFolder(path=str(tmp_path))


def test_the_first_frame_of_an_animation_counts_and_transparency_shows_the_background(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (40, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.all(Framing(4, 4, 1, "crop", WHITE, 65_535).read(tmp_path / "a.gif") == 40)
    palette = Image.fromarray(np.full((4, 4), 2, np.uint8), "P")
    palette.putpalette([0, 0, 0, 1, 1, 1, 90, 60, 30])
    palette.save(tmp_path / "b.png", transparency=b"\xff\xff\x10")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = Framing(1, 1, 3, "crop", WHITE, 65_535).read(tmp_path / "b.png")
    mixed = np.round(np.array([90, 60, 30]) * 16 / 255 + 255 * 239 / 255)  # alpha 16 of 255 over white
    np.testing.assert_allclose(pixels[0, 0], mixed, atol=1)  # PIL rounds each product
