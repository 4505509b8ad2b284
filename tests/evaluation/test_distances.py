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


def test_close_points_far_from_the_origin_keep_their_distance():
    x = 1e4 + np.array([[0.0], [1e-3]])
    np.testing.assert_allclose(whole(x, x)[0, 1], (x[1, 0] - x[0, 0]) ** 2, rtol=1e-12)  # float64
