"""Squared distances in blocks."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfdgm.evaluation import distances
from tfdgm.evaluation.distances import squared_distances


def whole(x, y):
    return np.concatenate([block for _, block in squared_distances(x, y)])


@pytest.mark.parametrize("at_once", [1, 40, 1 << 20])
def test_blocks_of_any_size_hold_every_distance_once_and_in_order(monkeypatch, at_once):
    monkeypatch.setattr(distances, "_AT_ONCE", at_once)
    x, y = np.random.RandomState(0).randn(11, 3), np.random.RandomState(1).randn(13, 3)
    positions = np.concatenate([np.arange(11)[rows] for rows, _ in squared_distances(x, y)])
    np.testing.assert_array_equal(positions, np.arange(11))
    np.testing.assert_allclose(whole(x, y), cdist(x, y) ** 2, atol=1e-13)  # float64 with values of order 10


def test_distances_of_binary_pixels_are_integers_without_rounding():
    x, y = (np.random.RandomState(seed).rand(30, 64) < 0.3 for seed in (0, 1))
    found = whole(x.astype(np.float32), y.astype(np.float32))
    np.testing.assert_array_equal(found, np.sum(x[:, None] != y, axis=-1))


@pytest.mark.parametrize("size", [1, 7, 64, 784])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_equal_points_have_distance_0_whatever_the_order_of_the_sums(size, offset):
    random = np.random.RandomState(0)
    y = offset + np.concatenate([random.randn(1, size), np.tile(random.randn(1, size), (40, 1)), random.randn(9, size)])
    found = whole(y[1:41].copy(), y)
    np.testing.assert_array_equal(found[:, 1:41], 0)
    assert found[:, 0].min() > 1e-5 and found[:, 41:].min() > 1e-5


def test_points_a_millionth_apart_are_not_equal():
    x = np.random.RandomState(0).randn(20, 784)
    moved = x + 1e-6 * np.random.RandomState(1).randn(20, 784)
    np.testing.assert_allclose(np.diag(whole(moved, x)), np.sum((moved - x) ** 2, axis=1), rtol=1e-2)  # 1e-9 of 1,500


def test_close_points_far_from_the_origin_keep_their_distance():
    x = 1e4 + np.array([[0.0], [1e-3]])
    np.testing.assert_allclose(whole(x, x)[0, 1], (x[1, 0] - x[0, 0]) ** 2, rtol=1e-12)  # float64
