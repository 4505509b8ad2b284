"""Rows as bytes: what moves only some types of numbers moves all others as bytes."""

import math
from typing import Any

import numpy as np
import tensorflow as tf


def row_size(shape: tuple[int, ...], dtype: Any) -> int:
    """Return the number of bytes of a row."""
    return math.prod(shape) * np.dtype(dtype).itemsize


def to_bytes(rows: np.ndarray) -> np.ndarray:
    """Return the bytes of rows `[n, *shape]`, uint8 `[n, bytes]`."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), row_size(rows.shape[1:], rows.dtype))


def from_bytes(flat: tf.Tensor, shape: tuple[int, ...], dtype: Any) -> tf.Tensor:
    """Return the rows `[n, *shape]` of their bytes, uint8 `[n, bytes]`. Traced."""
    kind = tf.as_dtype(dtype)
    if kind == tf.bool:
        return tf.reshape(tf.cast(flat, tf.bool), [-1, *shape])
    if kind.size == 1:
        return tf.reshape(tf.bitcast(flat, kind), [-1, *shape])
    return tf.bitcast(tf.reshape(flat, [-1, *shape, kind.size]), kind)


def to_words(rows: np.ndarray) -> np.ndarray:
    """Return rows `[n, *shape]` as int32 `[n, words]`; zeros fill the last word."""
    flat = to_bytes(rows)
    return np.pad(flat, [(0, 0), (0, -flat.shape[1] % 4)]).view(np.int32)


def from_words(words: tf.Tensor, shape: tuple[int, ...], dtype: Any) -> tf.Tensor:
    """Return the rows `[n, *shape]` of their words, int32 `[n, words]`. Traced."""
    if tf.as_dtype(dtype).size == 4:
        return tf.reshape(tf.bitcast(words, dtype), [-1, *shape])
    flat = tf.reshape(tf.bitcast(words, tf.uint8), [-1, 4 * words.shape[1]])
    return from_bytes(flat[:, : row_size(shape, dtype)], shape, dtype)
