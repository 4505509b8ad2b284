"""The posterior with finite scalar quantisation."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import Context, DataSpec, Latent, LatentSpec, Posterior, straight_through
from tfdgm_posteriors.codes import check_positions, usage

#: Keeps the bound from the numbers half-way between two integers, where rounding leaves the grid.
_MARGIN = 1e-3
#: The codebook is a constant of the program, and priors have a number for each code.
_LARGEST_CODEBOOK = 1 << 20


class FSQ(Posterior):
    """q(c|x) is a point mass on the grid point nearest to the bounded z(x) (Mentzer et al. 2023).

    The encoder's features are z `[*positions, C]`, one channel for each number of levels. A channel with n levels is
    bounded by f(z) = h tanh(z + tan(o / h)) - o, with h = (n - 1) (1 - 0.001) / 2 and o = 0 for odd n, 1/2 for even n,
    and rounded to one of the n integers from -floor(n/2) (section 3.1 and appendix A.1). The decoder's input is
    round(f(z)) / floor(n/2), between -1 and 1, with the gradient of f(z) / floor(n/2).

    The code of a position is the number in 0..K-1 whose digits are the levels of its channels, the first the least
    significant; K is the product of the levels. The codebook is all K points of the grid and is fixed: nothing commits
    to it, no code dies, and the rate, -log p(c), trains the prior alone. It is log K per position under a uniform
    prior.

    While the decoder learns the data's mean, its gradient pushes the z of all examples in one direction. If tanh
    saturates there, all examples keep one code (`code_perplexity` near 1). Batch normalisation in the encoder prevents
    it.

    Args:
      positions: shape of the grid of codes, `(N,)` or `(height, width)`.
      levels: number of levels of each channel, at least 2; C is their number, and `experiment.latent_size` has no
        effect.
    """

    def __init__(self, *, positions: Sequence[int] = (8,), levels: Sequence[int] = (8, 6, 5)) -> None:
        check_positions(self, positions)
        self.require(
            len(levels) >= 1 and all(number >= 2 for number in levels),
            f"levels must be one number or more, each at least 2, got {tuple(levels)}",
        )
        self.require(
            math.prod(levels) <= _LARGEST_CODEBOOK,
            f"the product of levels, the number of codes, must be at most {_LARGEST_CODEBOOK:,}, got "
            f"{math.prod(levels):,}",
        )
        self.positions = tuple(positions)
        self.levels = tuple(levels)

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(
            size=len(self.levels), positions=self.positions, categories=math.prod(self.levels), deterministic=True
        )

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return latent.decoder_input_shape

    def codebook(self) -> tf.Tensor:
        """Return E, `[K, C]`, in the order of the codes."""
        digits = np.stack(np.unravel_index(np.arange(math.prod(self.levels)), self.levels, order="F"), axis=-1)
        half = np.array(self.levels) // 2
        return tf.constant((digits - half) / half, tf.float32)

    def _bounded(self, z: tf.Tensor) -> tf.Tensor:
        """Return f(z), `[..., C]`."""
        numbers = np.array(self.levels)
        half_range = (numbers - 1) * (1 - _MARGIN) / 2
        offset = np.where(numbers % 2 == 1, 0.0, 0.5)
        shift = tf.constant(np.tan(offset / half_range), tf.float32)
        return tf.constant(half_range, tf.float32) * tf.tanh(z + shift) - tf.constant(offset, tf.float32)

    def _codes(self, bounded: tf.Tensor) -> tf.Tensor:
        """Return the codes of the rounded f(z), int32 `[...]`."""
        digits = tf.cast(tf.round(bounded), tf.int32) + tf.constant(np.array(self.levels) // 2, tf.int32)
        weights = np.cumprod((1, *self.levels[:-1]))
        return tf.reduce_sum(digits * tf.constant(weights, tf.int32), axis=-1)

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Return the point mass on the codes, batch shape `[batch]`, event shape `positions`."""
        return tfd.Independent(tfd.Deterministic(self._codes(self._bounded(features))), len(self.positions))

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        bounded = self._bounded(features)
        codes = self._codes(bounded)
        half = tf.constant(np.array(self.levels) // 2, tf.float32)
        return Latent(
            tfd.Independent(tfd.Deterministic(codes), len(self.positions)),
            value=codes,
            z=straight_through(self.embed(codes), bounded / half),
            metrics=usage(tf.one_hot(codes, math.prod(self.levels))),
        )
