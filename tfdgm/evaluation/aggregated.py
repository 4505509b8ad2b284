"""The density of a split's aggregated posterior at many values."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm.evaluation.bounds import Draws, Place
from tfdgm.model.code_densities import code_log_probabilities, mixture_densities
from tfdgm.numerics.gaussians import gaussian_log_densities

_DENSITIES_AT_ONCE = 1 << 25
#: Numbers of values and of Gaussians per call: 8 million pairs, 32 MB in float32.
_VALUES_AT_ONCE, _GAUSSIANS_AT_ONCE = 1 << 10, 1 << 13
#: Largest number of parameters, over all Gaussians, that are kept: 256 MB.
_LARGEST_TABLE = 1 << 26


class AggregatedPosterior:
    """q_agg(z) = (1/n) sum_m q(z|x_m) over a split, for any posterior with a log-density.

    The parameters of Gaussian posteriors are computed once, and the densities of all pairs of values and Gaussians by
    matrix products (`gaussian_log_densities`): accurate to 1e-3 nats per value and unbiased, so that means over many
    values are much closer. Other posteriors q(z|x_m) are recomputed for every block of values.
    """

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self._table: GaussianTable | None = None
        self._densities = draws.built.devices.map(self._chunk_densities)
        self._gaussians = draws.built.devices.map(self._chunk_parameters)
        self._pairs = draws.built.devices.map(_pair_densities)

    def refresh(self) -> None:
        """Discard the posteriors' parameters; call it when the weights have changed."""
        self._table = None

    def log_prob(self, values: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Return log q_agg at `values` `[count, *event]`, float64 `[count]`; with labels `[count]`, log q_agg(z|y).

        q_agg(z|y) is the mean of q(z|x_m, y) over the examples x_m with the label y.
        """
        if labels is None:
            return self._log_prob(values, np.ones(len(self.draws.source), bool), len(values))
        source, found = self.draws.source, np.empty(len(values))
        of_examples = source.conditions(np.arange(len(source)))
        for label in np.unique(labels):
            found[labels == label] = self._log_prob(values[labels == label], of_examples == label, len(values))
        return found

    def _log_prob(self, values: np.ndarray, members: np.ndarray, at_most: int) -> np.ndarray:
        """Return the log of the mean density of the components of `members`; one program for `at_most` values."""
        if self._table is None and self._has_table:
            self._table = GaussianTable.of(self.draws.over_chunks(self._gaussians))
        if self._table is not None:
            size, calls = _VALUES_AT_ONCE, self._table.calls
            run, parts = self._pairs, len(self._table.parts)
        else:
            event = max(1, int(np.prod(values.shape[1:])))
            size = max(1, min(at_most, _DENSITIES_AT_ONCE // (self.draws.chunk * event)))
            calls, run, parts = self._chunk_calls, self._densities, -(-len(self.draws.source) // self.draws.chunk)
        padded = np.resize(values, (-(-len(values) // size) * size, *values.shape[1:]))
        pieces = [slice(start, start + size) for start in range(0, len(padded), size)]
        total = np.full(len(padded), -np.inf)
        results = run(calls([tf.constant(padded[piece]) for piece in pieces], members))
        told = self.draws.told(results, parts * len(pieces))
        for piece, densities in zip(itertools.cycle(pieces), told, strict=False):
            total[piece] = np.logaddexp(total[piece], densities.numpy())
        return total[: len(values)] - np.log(np.sum(members))

    @cached_property
    def _has_table(self) -> bool:
        """Whether the posteriors are Gaussians whose parameters are few enough to keep."""
        model = self.draws.built.model
        if model.latent.discrete:
            return False
        parameters = gaussian_parameters(
            model.infer(tf.zeros([1, *model.data.spec.shape]), self.draws.context(self.draws.place(0, size=1)))
        )
        if parameters is None:
            return False
        return sum(tensor.shape.num_elements() for tensor in parameters) * len(self.draws.source) <= _LARGEST_TABLE

    def _chunk_parameters(self, x: tf.Tensor, place: Place, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parameters = gaussian_parameters(self.draws.built.model.infer(x, self.draws.context(place)))
        assert parameters is not None
        return parameters

    def _chunk_calls(self, pieces: list[tf.Tensor], members: np.ndarray) -> Iterator[tuple]:
        for number, x, _ in self.draws.chunks():
            mask = _mask(members, number * self.draws.chunk, self.draws.chunk)
            for piece in pieces:
                yield piece, x, self.draws.place(number), mask

    def _chunk_densities(self, values: tf.Tensor, x: tf.Tensor, place: Place, mask: tf.Tensor) -> tf.Tensor:
        """Return the log of the sum over one chunk of components, `[count]`."""
        posterior = self.draws.built.model.infer(x, self.draws.context(place))
        categories = self.draws.built.model.latent.categories
        if categories is None:
            densities = posterior.log_prob(values[:, None])
        else:
            densities = mixture_densities(tf.one_hot(values, categories), code_log_probabilities(posterior, categories))
        return tf.reduce_logsumexp(densities + mask, axis=-1)


@dataclasses.dataclass(frozen=True)
class GaussianTable:
    """Parameters of n Gaussians, mean and scale, in parts of equal size; the last is padded with copies."""

    parts: list[tuple[tf.Tensor, tf.Tensor]]
    size: int

    @classmethod
    def of(cls, chunks: Iterable[tuple[tuple[tf.Tensor, tf.Tensor], int]]) -> "GaussianTable":
        """Build the table from (parameters, number that are not padding) of every chunk."""
        kept = [[tensor.numpy()[:count] for tensor in parameters] for parameters, count in chunks]
        mean, scale = (np.concatenate(arrays) for arrays in zip(*kept, strict=True))
        size = min(_GAUSSIANS_AT_ONCE, len(mean))
        parts = []
        for start in range(0, len(mean), size):
            index = np.arange(start, start + size)
            index = np.minimum(index, len(mean) - 1)  # zeros instead of copies would move the origin of the densities
            parts.append((tf.constant(mean[index]), tf.constant(scale[index])))
        return cls(parts, size)

    def calls(self, pieces: list[tf.Tensor], members: np.ndarray) -> Iterator[tuple]:
        for number, part in enumerate(self.parts):
            mask = _mask(members, number * self.size, self.size)
            for piece in pieces:
                yield piece, *part, mask


def _mask(members: np.ndarray, start: int, size: int) -> tf.Tensor:
    """Return 0 for the components from `start` on that count, and -inf for the others and for padding, `[size]`."""
    own = members[start : start + size]
    return tf.constant(np.where(np.pad(own, (0, size - len(own))), 0.0, -np.inf), tf.float32)


def gaussian_parameters(posterior: Any) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Return mean `[batch, d]` and scale for `gaussian_log_densities`; None if the posterior is not a Gaussian vector.

    Subclasses do not count as Gaussian, since their densities may differ.
    """
    if type(posterior) is tfd.Independent and type(posterior.distribution) is tfd.Normal:
        base = posterior.distribution
        return base.mean(), base.stddev()  # both broadcast to the whole shape
    if type(posterior) is tfd.MultivariateNormalDiag:
        return posterior.mean(), posterior.stddev()
    if type(posterior) is tfd.MultivariateNormalTriL:
        scale = tf.broadcast_to(posterior.scale.to_dense(), [*posterior.mean().shape, posterior.event_shape[0]])
        return posterior.mean(), scale
    return None


def _pair_densities(values: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Return the log of the sum over some Gaussians, `[count]`."""
    return tf.reduce_logsumexp(gaussian_log_densities(values, mean, scale, quick=True) + mask, axis=-1)
