"""The distribution of a row of a table: a product over groups of columns, without those that are missing."""

import dataclasses
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import CustomDistribution, TableSpec


@dataclasses.dataclass(frozen=True)
class ColumnGroup:
    """Columns and the joint distribution of their numbers in x.

    Attributes:
      columns: their positions in the table.
      distribution: with a scalar event and batch shape `[..., columns]`; or, for one column of several numbers, with
        event shape `[width]` and batch shape `[...]`.
    """

    columns: list[int]
    distribution: Any

    def per_column(self, log_prob: tf.Tensor) -> tf.Tensor:
        """Return the log-probabilities with an axis for the columns, `[..., columns]`."""
        return log_prob[..., None] if self.distribution.event_shape.rank else log_prob


class Row(CustomDistribution):
    """x `[size]` of a table: log p(x) is the sum over the columns whose values are observed, as x itself says.

    Draws and means have all values observed.

    Args:
      outputs: of the decoder, `[..., width]`, which give the batch shape.
      groups: all columns.
      table: the place of each in x.
    """

    def __init__(self, outputs: tf.Tensor, groups: list[ColumnGroup], table: TableSpec) -> None:
        batch = tfd.Deterministic(outputs[..., 0])
        super().__init__(dict(locals()), dtype=tf.float32, event_shape=(table.size,), base=batch)
        self._groups, self._table = groups, table
        columns = [j for group in groups for j in group.columns]
        #: positions in x of the numbers of all groups, one group after the other
        self._positions = [
            [i for j in group.columns for i in range(table.places[j].start, table.places[j].stop)] for group in groups
        ]
        #: for each column of all groups its position in `x, 1` of the number that says whether it is observed
        self._observed = [table.size if table.observed[j] is None else table.observed[j] for j in columns]

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        terms = [
            group.per_column(group.distribution.log_prob(tf.gather(x, positions, axis=-1)))
            for group, positions in zip(self._groups, self._positions, strict=True)
        ]
        each = tf.concat(terms, axis=-1)
        observed = tf.gather(tf.concat([x, tf.ones_like(x[..., :1])], axis=-1), self._observed, axis=-1)
        return tf.reduce_sum(tf.where(observed > 0.5, each, 0.0), axis=-1)

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, len(self._groups)))
        return self._joined([group.distribution.sample(n, s) for group, s in zip(self._groups, seeds, strict=True)])

    def _mean(self) -> tf.Tensor:
        return self._joined([group.distribution.mean() for group in self._groups])

    def _joined(self, parts: list[tf.Tensor]) -> tf.Tensor:
        """Return x of the numbers of all groups, each `[..., numbers]`, complete."""
        numbers = tf.concat(parts, axis=-1)
        order = [i for positions in self._positions for i in positions]
        ordered = tf.gather(numbers, [order.index(i) for i in range(len(order))], axis=-1)
        complete = tf.ones_like(numbers[..., :1])
        return tf.concat([ordered, *[complete] * (self._table.size - len(order))], axis=-1)


class LogCounts(CustomDistribution):
    """x = (log(1 + k) - center) / scale of counts k; elementwise, with the probability of k.

    `mean()` is x at the mean of k.

    Args:
      base: the distribution of k, scalar event.
      center, scale: of the batch shape.
    """

    def __init__(self, base: Any, center: tf.Tensor, scale: tf.Tensor) -> None:
        super().__init__(dict(locals()), dtype=tf.float32, event_shape=(), base=base)
        self._center, self._scale = center, scale

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        count = tf.round(tf.math.expm1(x * self._scale + self._center))
        return self._base.log_prob(tf.maximum(count, 0.0))

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self._in_x(self._base.sample(n, seed=seed))

    def _mean(self) -> tf.Tensor:
        return self._in_x(self._base.mean())

    def _in_x(self, count: tf.Tensor) -> tf.Tensor:
        return (tf.math.log1p(count) - self._center) / self._scale


def ordered_logits(location: tf.Tensor, cuts: tf.Tensor) -> tf.Tensor:
    """Return log(F(c_k - m) - F(c_{k-1} - m)), F the logistic function, for k = 1..K with c_0 = -inf, c_K = inf.

    It is computed as log F(b) + log F(-a) + log(1 - exp(a - b)), without cancellation.

    Args:
      location: m `[..., 1]`.
      cuts: c_1 < .. < c_{K-1}, `[K - 1]`.

    Returns:
      `[..., K]`.
    """
    below = tf.math.log_sigmoid(cuts - location)
    above = tf.math.log_sigmoid(location - cuts)
    zero = tf.zeros_like(location)
    inside = tf.math.log(-tf.math.expm1(cuts[:-1] - cuts[1:]))
    inside = tf.concat([tf.zeros([1]), inside, tf.zeros([1])], axis=0)
    return tf.concat([below, zero], axis=-1) + tf.concat([zero, above], axis=-1) + inside
