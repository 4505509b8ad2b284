"""Which examples are in which batch."""

import numpy as np
import pytest

from tfdgm import ArraySource
from tfdgm.training.batches import Batches, stream


@pytest.mark.parametrize("size, batch", [(12, 4), (10, 4), (7, 7), (101, 32)])
def test_every_example_is_used_equally_often_whether_or_not_the_batch_divides_the_data(size, batch):
    positions = Batches(size, batch, seed=3).draws(0, size)  # `size` draws are exactly `batch` epochs
    np.testing.assert_array_equal(np.bincount(positions.ravel(), minlength=size), batch)


def test_each_epoch_holds_every_example_once():
    positions = Batches(10, 4, seed=0).draws(0, 10).ravel().reshape(4, 10)
    np.testing.assert_array_equal(np.sort(positions, axis=1), np.tile(np.arange(10), (4, 1)))
    assert not np.array_equal(positions[0], positions[1])


def test_draws_from_anywhere_equal_the_same_draws_of_one_long_sequence():
    everything = Batches(10, 4, seed=1).draws(0, 40)
    again = Batches(10, 4, seed=1)
    for first, count in [(30, 10), (0, 3), (17, 1), (3, 25)]:  # out of order: the kept epochs must not matter
        np.testing.assert_array_equal(again.draws(first, count), everything[first : first + count])


def test_another_seed_gives_another_order():
    assert not np.array_equal(Batches(100, 10, 0).draws(0, 10), Batches(100, 10, 1).draws(0, 10))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_the_stream_gives_exactly_the_rows_at_its_positions(dtype):
    rows = np.random.RandomState(0).randint(0, 255, (23, 2, 3)).astype(dtype)
    batches = Batches(23, 5, seed=2)
    blocks = [(0, 4), (4, 4), (8, 2)]
    seen = list(stream(ArraySource(rows), batches, blocks))
    assert len(seen) == 3
    for (first, count), (got, positions) in zip(blocks, seen, strict=True):
        np.testing.assert_array_equal(positions, batches.draws(first, count))
        np.testing.assert_array_equal(got, rows[batches.draws(first, count)])
        assert got.numpy().dtype == dtype


def test_a_stream_of_no_blocks_ends_at_once():
    assert list(stream(ArraySource(np.zeros((4, 1), np.float32)), Batches(4, 2, 0), [])) == []
