"""The positions and rows of every batch."""

import numpy as np
import pytest
import tensorflow as tf

from tfdgm import ArraySource, UserError
from tfdgm.training.batches import Batches, Spans, stream


@pytest.mark.parametrize("size, batch", [(12, 4), (10, 4), (7, 7), (101, 32)])
def test_every_example_is_used_equally_often_whether_or_not_the_batch_divides_the_data(size, batch):
    positions = Batches(size, batch, seed=3).draws(0, size)  # `size` draws are exactly `batch` epochs
    np.testing.assert_array_equal(np.bincount(positions.ravel(), minlength=size), batch)
    assert positions.dtype == np.int32  # as `Context.index` has them


def test_each_epoch_holds_every_example_once():
    positions = Batches(10, 4, seed=0).draws(0, 10).ravel().reshape(4, 10)
    np.testing.assert_array_equal(np.sort(positions, axis=1), np.tile(np.arange(10), (4, 1)))
    assert not np.array_equal(positions[0], positions[1])


def test_draws_in_any_order_equal_those_of_one_long_sequence():
    everything = Batches(10, 4, seed=1).draws(0, 40)
    again = Batches(10, 4, seed=1)
    for first, count in [(30, 10), (0, 3), (17, 1), (3, 25)]:  # out of order: the cached epochs must not matter
        np.testing.assert_array_equal(again.draws(first, count), everything[first : first + count])


def test_another_seed_gives_another_order():
    assert not np.array_equal(Batches(100, 10, 0).draws(0, 10), Batches(100, 10, 1).draws(0, 10))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_the_stream_gives_exactly_the_rows_at_its_positions(dtype):
    rows = np.random.RandomState(0).randint(0, 255, (23, 2, 3)).astype(dtype)
    batches = Batches(23, 5, seed=2)
    blocks = [(0, 4), (4, 4), (8, 2)]
    seen = list(stream(ArraySource(rows), batches, blocks, slice(0, 5)))
    assert len(seen) == 3
    for (first, count), (got, positions) in zip(blocks, seen, strict=True):
        np.testing.assert_array_equal(positions, batches.draws(first, count))
        np.testing.assert_array_equal(got, rows[batches.draws(first, count)])
        assert got.numpy().dtype == dtype


def test_a_share_of_every_batch_is_read_with_all_positions():
    rows, batches = np.arange(24, dtype=np.float32)[:, None], Batches(24, 6, seed=2)
    ((got, positions),) = stream(ArraySource(rows), batches, [(0, 3)], slice(2, 4))
    np.testing.assert_array_equal(positions, batches.draws(0, 3))
    np.testing.assert_array_equal(got, rows[batches.draws(0, 3)[:, 2:4]])


def test_a_stream_without_blocks_is_empty():
    assert list(stream(ArraySource(np.zeros((4, 1), np.float32)), Batches(4, 2, 0), [], slice(0, 2))) == []


class Broken(ArraySource):
    """Rows whose last one cannot be read."""

    def __init__(self, rows, problem):
        super().__init__(rows)
        self.problem = problem

    def gather(self, indices):
        if len(self) - 1 in indices:
            raise self.problem
        return super().gather(indices)


@pytest.mark.parametrize("problem", [UserError("row 11 is bad"), ValueError("row 11 is odd")])
def test_the_error_of_a_source_is_raised_when_its_block_is_requested(problem):
    batches = Batches(12, 4, seed=0)
    bad = next(draw for draw in range(3) if 11 in batches.draws(draw, 1))
    source = Broken(np.zeros((12, 2), np.float32), problem)
    seen = []
    with pytest.raises(type(problem)) as raised:
        seen.extend(stream(source, batches, [(draw, 1) for draw in range(3)], slice(0, 4)))
    assert raised.value is problem
    assert raised.value.__suppress_context__  # without TensorFlow's error around it
    assert len(seen) <= bad


def test_an_error_of_tensorflow_is_not_hidden():
    class Narrow(ArraySource):
        def __init__(self):
            super().__init__(np.zeros((12, 2), np.float32))
            self.dtype = np.uint8  # not the dtype of the rows

    with pytest.raises(tf.errors.OpError, match="uint8"):
        list(stream(Narrow(), Batches(12, 4, 0), [(0, 1)], slice(0, 4)))


def test_spans_end_at_multiples_and_are_generated_lazily():
    assert list(Spans(0, 25, 10)) == [(0, 10), (10, 10), (20, 5)]
    assert list(Spans(7, 25, 10)) == [(7, 3), (10, 10), (20, 5)]
    assert list(Spans(25, 25, 10)) == []
    assert list(Spans(7, 25, 10).times(3)) == [(21, 9), (30, 30), (60, 15)]
    assert next(iter(Spans(0, 10**18, 100))) == (0, 100)
