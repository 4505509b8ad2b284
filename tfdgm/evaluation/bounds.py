"""Draws from q(z|x) over a split, and the importance-weighted bound."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Source
from tfdgm.model.code_densities import log_prob_of_codes
from tfdgm.numerics.randomness import fold, root_seed
from tfdgm.runs.experiment import Built

_EXAMPLES_AT_ONCE = 500
#: Number of values of x to decode at once.
_VALUES_AT_ONCE = 30_000 * 64
_WASTE = 4

Part = TypeVar("Part")

#: The root seed, the number of a chunk and the step, int64 `[4]`; and the conditions y of the chunk, if there are any.
Place = tuple[tf.Tensor, ...]


@dataclasses.dataclass(frozen=True)
class Block:
    """Draws of z for a chunk of examples.

    Attributes:
      value: z or codes drawn from q(z|x), `[draws, examples, *event]`.
      log_likelihood: log p(x|z), `[draws, examples]`, nats.
      log_posterior: log q(z|x), likewise.
      log_prior: log p(z), likewise.
    """

    value: np.ndarray
    log_likelihood: np.ndarray
    log_posterior: np.ndarray
    log_prior: np.ndarray


class Draws:
    """Draws z ~ q(z|x) for every x of a split in chunks, so that memory does not grow with the split.

    The run's seed determines the draws: two evaluations of the same weights agree.

    Attributes:
      tell: is called with the number of parts of a pass that are done, and of all its parts.
    """

    def __init__(self, built: Built, source: Source) -> None:
        self.built = built
        self.source = source
        self.seed = root_seed(built.experiment.seed, "evaluation")
        self.decodings = max(1, _VALUES_AT_ONCE // built.experiment.data.spec.size)
        self.chunk = min(_EXAMPLES_AT_ONCE, self.decodings, len(source))
        self.tell: Callable[[int, int], None] = lambda done, total: None
        self._terms: dict[int, Callable[[Iterable[tuple]], Iterator[Any]]] = {}
        self._observed = tf.function(self._observe, jit_compile=True, autograph=False)

    def over(self, source: Source) -> "Draws":
        """Return draws for another source of the same data, with the same compiled observation, in chunks as large."""
        other = Draws(self.built, source)
        other.chunk = min(self.chunk, len(source))
        other._observed = self._observed
        return other

    @cached_property
    def per_block(self) -> int:
        """The largest number of draws per example and block."""
        return 1 if self.built.model.latent.deterministic else max(1, self.decodings // self.chunk)

    def _block_size(self, draws: int) -> int:
        """Return the number of draws per example and block for `draws` in all.

        Each size takes seconds to compile, so the largest size is used unless it makes four times the draws or more.
        """
        return self.per_block if self.per_block < _WASTE * draws else draws

    def chunks(self) -> Iterator[tuple[int, tf.Tensor, int]]:
        """Yield (number, x, examples that count); the last chunk is padded with copies to keep one shape."""
        for number, start in enumerate(range(0, len(self.source), self.chunk)):
            x = self._observed(tf.constant(self.source.gather(self._positions(number))), self.place(number))
            yield number, x, min(self.chunk, len(self.source) - start)

    def _positions(self, number: int) -> np.ndarray:
        return np.minimum(np.arange(number * self.chunk, (number + 1) * self.chunk), len(self.source) - 1)

    def labels(self, number: int, count: int) -> np.ndarray | None:
        """Return the labels `[count]` of the first examples of a chunk; None in a model that is not given labels."""
        condition = self.built.model.condition
        if condition is None or condition.categories is None:
            return None
        return self.source.conditions(self._positions(number)[:count])

    def _observe(self, rows: tf.Tensor, place: Place) -> tf.Tensor:
        return self.built.model.observe(rows, self.context(place))[0]

    def place(self, number: int, size: int | None = None) -> Place:
        """Return what determines the context of a chunk, or of its first `size` examples.

        Programs receive it as an argument, so that the same program serves every seed and step.
        """
        numbers = tf.constant([*self.seed.numpy(), number, self.built.state.step.numpy()], tf.int64)
        if self.built.model.condition is None:
            return (numbers,)
        return numbers, tf.constant(self.source.conditions(self._positions(number)[:size]))

    @staticmethod
    def context(place: Place) -> Context:
        """Return the context of a `place`."""
        numbers, *y = place
        return Context(fold(tf.cast(numbers[:2], tf.int32), numbers[2]), numbers[3], y=y[0] if y else None)

    def over_chunks(self, run: Callable[[Iterable[tuple]], Iterator[Any]]) -> Iterator[tuple[Any, int]]:
        """Yield (result, examples that count) of every chunk.

        Args:
          run: result of `Devices.map` for a function of (x, place of the chunk, examples that count).
        """
        chunks, again = itertools.tee(self.chunks())
        results = run((x, self.place(number), tf.constant(count)) for number, x, count in again)
        pairs = ((result, count) for result, (_, _, count) in zip(results, chunks, strict=True))
        return self.told(pairs, self._number_of_chunks)

    @property
    def _number_of_chunks(self) -> int:
        return -(-len(self.source) // self.chunk)

    def told(self, parts: Iterable[Part], total: int) -> Iterator[Part]:
        """Yield the parts of a pass, and `tell` how many are done."""
        for done, part in enumerate(parts):
            yield part
            self.tell(done + 1, total)

    def blocks(self, draws: int) -> Iterator[tuple[int, int, Block]]:
        """Yield (number of the chunk, examples that count, block); the blocks of a chunk have `draws` draws in all."""
        size = self._block_size(draws)
        parts = (
            (number, count, x, block, min(size, draws - start))
            for number, x, count in self.chunks()
            for block, start in enumerate(range(0, draws, size))
        )
        kept, again = itertools.tee(parts)
        results = self._of_size(size)((x, self.place(number), tf.constant(block)) for number, _, x, block, _ in again)
        total = self._number_of_chunks * -(-draws // size)
        for terms, (number, count, _, _, keep) in self.told(zip(results, kept, strict=True), total):
            yield number, count, Block(*(term.numpy()[:keep] for term in terms))

    def _of_size(self, size: int) -> Callable[[Iterable[tuple]], Iterator[Any]]:
        """Return `_draw` with `size` draws, compiled once."""
        if size not in self._terms:
            self._terms[size] = self.built.devices.map(partial(self._draw, size))
        return self._terms[size]

    def _draw(self, size: int, x: tf.Tensor, place: Place, block: tf.Tensor) -> tuple[tf.Tensor, ...]:
        model = self.built.model
        context = model.with_inference(self.context(place))
        posterior, prior = model.infer(x, context), model.prior_distribution(context)
        value = posterior.sample(size, seed=fold(context.seed_for("draws"), block))
        likelihood = model.decode(model.embed(value), context)
        if model.latent.categories is None:
            densities = posterior.log_prob(value), prior.log_prob(value)
        else:
            densities = tuple(log_prob_of_codes(p, value, model.latent.categories) for p in (posterior, prior))
        return value, likelihood.log_prob(x), *densities

    def importance_weighted_nll(self, num_samples: int) -> float:
        """Estimate -(1/n) sum_i log (1/S) sum_s p(x_i|z_s) p(z_s) / q(z_s|x_i), z_s ~ q(z|x_i); nats per example.

        In expectation an upper bound on the negative log-likelihood, with a bias of O(1/S) (Burda et al. 2016, equation
        8).
        """
        total = 0.0
        for (_, count), blocks in itertools.groupby(self.blocks(num_samples), key=lambda item: item[:2]):
            weights = [
                logsumexp(b.log_likelihood.astype(np.float64) + b.log_prior - b.log_posterior, axis=0)
                for _, _, b in blocks
            ]
            total -= np.sum((logsumexp(weights, axis=0) - np.log(num_samples))[:count])
        return float(total / len(self.source))
