"""Batches as a function of the step.

The permutations of the epochs, each a function of (seed, epoch), are concatenated; draw number t is the t-th slice of
`batch_size` positions of that sequence. Every example is therefore used equally often, whether or not the batch size
divides the number of examples, and there is no iterator state to save.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from tfdgm.contracts.data import Source
from tfdgm.numerics.randomness import permutation


class Batches:
    """Maps the number of a draw to its positions in the training split."""

    def __init__(self, num_examples: int, batch_size: int, seed: int) -> None:
        self.num_examples = num_examples
        self.batch_size = batch_size
        self.seed = seed
        self._epochs: dict[int, np.ndarray] = {}

    def _epoch(self, epoch: int) -> np.ndarray:
        """Return the permutation of an epoch; keeps the last four."""
        if epoch not in self._epochs:
            if len(self._epochs) >= 4:
                del self._epochs[min(self._epochs)]
            self._epochs[epoch] = permutation(self.seed, epoch, self.num_examples)
        return self._epochs[epoch]

    def draws(self, first: int, count: int) -> np.ndarray:
        """Return the positions of draws `first` to `first + count`, int32 `[count, batch_size]`."""
        start, stop = first * self.batch_size, (first + count) * self.batch_size
        pieces = []
        while start < stop:
            epoch, offset = divmod(start, self.num_examples)
            piece = self._epoch(epoch)[offset : offset + stop - start]
            pieces.append(piece)
            start += len(piece)
        return np.concatenate(pieces).reshape(count, self.batch_size).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Spans:
    """The loops between two steps as pairs (first step, number of steps); each ends at a multiple of `every`.

    They are generated lazily, since a run may have any number of steps.
    """

    start: int
    stop: int
    every: int

    def __iter__(self) -> Iterator[tuple[int, int]]:
        first = self.start
        while first < self.stop:
            last = min((first // self.every + 1) * self.every, self.stop)
            yield first, last - first
            first = last

    def times(self, factor: int) -> "Spans":
        """Return the same spans in units of which every step has `factor`."""
        return Spans(self.start * factor, self.stop * factor, self.every * factor)


def stream(
    source: Source, batches: Batches, blocks: Iterable[tuple[int, int]], share: slice
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yield blocks of draws, prefetched by tf.data: rows `[count, rows, *shape]` and positions `[count, batch]`.

    Args:
      source: the source of the rows.
      batches: the positions of every draw.
      blocks: (first draw, number of draws) of each block, in order.
      share: the part of every batch whose rows to fetch.

    Raises:
      Exception: any error of the source.
    """

    problems: list[Exception] = []

    def fetch(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        positions = batches.draws(int(first), int(count))
        try:
            own = positions[:, share]
            rows = source.gather(own.reshape(-1))
        except Exception as problem:
            problems.append(problem)
            raise
        return rows.reshape(*own.shape, *source.shape), positions

    def fetch_block(block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.numpy_function(fetch, [block[0], block[1]], (tf.as_dtype(source.dtype), tf.int32), stateful=False)

    numbers = tf.data.Dataset.from_generator(lambda: iter(blocks), output_signature=tf.TensorSpec([2], tf.int64))
    try:
        yield from numbers.map(fetch_block).prefetch(2)
    except tf.errors.OpError:
        if problems:  # TensorFlow's error hides that of the source
            raise problems[0] from None
        raise
