"""Binary pixels: drawn at every step, or once for every row."""

import numpy as np
import pytest
import tensorflow as tf
from small import context
from tfdgm_data.binarization import Binarized, draw_pixels

from tfdgm import ArraySource

GREY = np.random.RandomState(0).randint(0, 256, (30, 4, 3, 1)).astype(np.uint8)
GREY[0] = 0
GREY[1] = 255


def drawer(rows):
    x = tf.constant(rows / 255.0, tf.float32)
    return tf.function(lambda step: draw_pixels(x, context(step=step)), jit_compile=True)


def test_pixels_are_bernoulli_draws_of_the_grey_levels():
    draw = drawer(GREY)
    draws = np.stack([draw(tf.constant(step)).numpy() for step in range(400)])
    assert draws.shape == (400, *GREY.shape) and draws.dtype == np.float32
    assert set(np.unique(draws)) == {0.0, 1.0}
    grey = GREY / 255
    error = np.sqrt(grey * (1 - grey) / 400)
    # 360 frequencies within five standard errors; a grey level of 1/255 has a skewed count, hence one draw more
    assert np.all(np.abs(draws.mean(0) - grey) <= 5 * error + (error > 0) / 400)


def test_outside_of_a_compiled_program_the_same_pixels_are_drawn():
    x = tf.constant(GREY / 255.0, tf.float32)
    np.testing.assert_array_equal(draw_pixels(x, context(step=tf.constant(3))), drawer(GREY)(tf.constant(3)))


def test_pixels_are_drawn_apart_from_each_other():
    draw = drawer(np.full((200, 50), 128, np.uint8))
    draws = draw(tf.constant(0)).numpy() - 128 / 255
    for axis in (0, 1):
        products = np.take(draws, range(49), axis) * np.take(draws, range(1, 50), axis)
        assert np.abs(products.mean()) < 5 * 0.25 / np.sqrt(products.size)  # neighbours: five standard errors from 0


def test_a_step_draws_the_same_pixels_every_time_and_another_step_others():
    draw = drawer(GREY)
    first, again, other = (draw(tf.constant(step)).numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("seed", [1, 2])
def test_fixed_pixels_are_those_of_the_documented_generator(seed):
    source = Binarized(ArraySource(GREY), seed)
    assert (len(source), source.shape, source.dtype) == (30, (4, 3, 1), np.uint8)
    rows = [7, 0, 29, 1, 7]
    expected = [
        np.random.Generator(np.random.Philox(key=[seed, row])).random((4, 3, 1)) < GREY[row] / 255 for row in rows
    ]
    np.testing.assert_array_equal(source.gather(np.array(rows)), 255 * np.array(expected, np.uint8))
    np.testing.assert_array_equal(source.gather(np.array([0, 1])), GREY[:2])  # black and white stay


def test_fixed_pixels_differ_by_seed_and_have_the_grey_levels_as_frequencies():
    grey = np.linspace(0, 255, 52).astype(np.uint8)
    source = ArraySource(np.tile(grey, (2_000, 1)))
    first, second = (Binarized(source, seed).gather(np.arange(2_000)) for seed in (1, 2))
    assert (first != second).any()
    share = grey / 255
    error = np.sqrt(share * (1 - share) / 2_000)
    assert np.all(np.abs(first.mean(0) / 255 - share) <= 5 * error + 1e-9)  # 52 frequencies, five standard errors
