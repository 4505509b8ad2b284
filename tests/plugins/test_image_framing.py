"""Images of any aspect ratio at one size: which part is kept, and where padding goes."""

import numpy as np
import pytest
from PIL import Image
from tfdgm_data.framing import Framing

RED, GREEN = (200, 0, 0), (0, 100, 0)


def framed(tmp_path, pixels, height, width, fit, background=(0, 0, 0), channels=1):
    file = tmp_path / "image.png"
    Image.fromarray(pixels).save(file)
    return Framing(height, width, channels, fit, background, 65_535).read(file)


def columns(width, height=4):
    """A grey image whose columns are 0, 1, 2, ..."""
    return np.tile(np.arange(width, dtype=np.uint8), (height, 1))


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("height, width", [(6, 10), (10, 6), (5, 5), (1, 7), (13, 2)])
@pytest.mark.parametrize("source", [(6, 10), (30, 50), (3, 40), (40, 3), (1, 1)])
def test_every_image_gets_the_size_and_one_colour_stays_that_colour(tmp_path, fit, height, width, source):
    found = framed(tmp_path, np.tile(np.uint8(RED), (*source, 1)), height, width, fit, RED, 3)
    np.testing.assert_array_equal(found, np.tile(np.uint8(RED), (height, width, 1)))


def test_an_image_of_the_size_asked_for_does_not_change(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (6, 10)).astype(np.uint8)
    for fit in ("crop", "pad"):
        np.testing.assert_array_equal(framed(tmp_path, pixels, 6, 10, fit)[..., 0], pixels)


def test_cropping_keeps_the_middle_in_the_longer_direction(tmp_path):
    found = framed(tmp_path, columns(12), 4, 6, "crop")[..., 0]  # 4 x 12 is cut to 4 x 6
    np.testing.assert_array_equal(found, columns(12)[:, 3:9])
    found = framed(tmp_path, columns(12).T, 6, 4, "crop")[..., 0]
    np.testing.assert_array_equal(found, columns(12).T[3:9])
    found = framed(tmp_path, columns(12), 2, 3, "crop")[..., 0]  # the same part, each pixel the mean of 2 x 2
    np.testing.assert_allclose(found, [[3.5, 5.5, 7.5]] * 2, atol=0.5)  # rounded


def test_padding_keeps_everything_and_fills_both_ends(tmp_path):
    found = framed(tmp_path, columns(8) + 1, 8, 8, "pad")[..., 0]
    np.testing.assert_array_equal(found, np.pad(columns(8) + 1, [(2, 2), (0, 0)]))
    found = framed(tmp_path, columns(8) + 1, 4, 11, "pad")[..., 0]
    np.testing.assert_array_equal(found, np.pad(columns(8) + 1, [(0, 0), (1, 2)]))  # the odd column at the end
    found = framed(tmp_path, np.tile(np.uint8(RED), (4, 8, 1)), 8, 8, "pad", GREEN, 3)
    assert np.all(found[2:6] == RED) and np.all(found[[0, 1, 6, 7]] == GREEN)


def test_padding_of_grey_images_is_the_grey_of_the_colour(tmp_path):
    found = framed(tmp_path, columns(2, 1), 2, 2, "pad", (255, 0, 0))[..., 0]
    assert set(found.ravel()) == {0, 1, 76}  # ITU-R 601: 0.299 x 255


def test_an_extreme_aspect_ratio_keeps_at_least_one_pixel(tmp_path):
    found = framed(tmp_path, columns(200, 1) // 2, 4, 4, "pad", (255, 255, 255))[..., 0]
    assert np.sum(np.all(found < 100, axis=1)) == 1
