"""Rows of every type of numbers come back from bytes and words as they went in."""

import numpy as np
import pytest

from tfdgm.numerics.row_bytes import from_bytes, from_words, to_bytes, to_words

DTYPES = ["bool", "uint8", "int8", "uint16", "float16", "int32", "float32", "int64", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)], ids=str)
def test_rows_come_back_bit_for_bit(dtype, shape):
    rows = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (7, *shape)).astype(dtype)
    for back in (from_bytes(to_bytes(rows), shape, dtype), from_words(np.asarray(to_words(rows)), shape, dtype)):
        assert back.dtype == dtype and back.shape == rows.shape
        np.testing.assert_array_equal(back, rows)


def test_words_are_of_a_type_that_workers_broadcast():
    assert to_words(np.arange(10, dtype=np.uint8).reshape(2, 5)).dtype == np.int32
