"""The categorical posterior with the Gumbel-softmax relaxation."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import (
    BuildContext,
    Context,
    DataSpec,
    Latent,
    LatentSpec,
    Posterior,
    Schedule,
    scheduled,
    straight_through,
    uniform_draws,
)
from tfdgm_posteriors.codes import check_positions, usage


class Categorical(Posterior):
    """q(c|x) = prod_i Categorical(c_i; softmax(l_i(x))), codes over a learned codebook E `[K, C]`.

    The encoder's features are the logits l. In training the decoder's input is y E with y = softmax((l + g) / t), g
    standard Gumbel noise and t the temperature (Jang et al. 2017; Maddison et al. 2017). Otherwise it is the rows of E
    at exact draws argmax_k (l_k + g_k). With relaxed draws the training objective is not a bound; in evaluation it is.

    Args:
      positions: shape of the grid of codes, `(N,)` or `(height, width)`.
      num_categories: K.
      temperature: t, between 1e-6 and 1e6; a number or a schedule of the step.
      straight_through: whether the decoder's input in training is the exact draw, with the relaxed draw's gradient.
    """

    def __init__(
        self,
        *,
        positions: Sequence[int] = (16,),
        num_categories: int = 16,
        temperature: Schedule = 0.5,
        straight_through: bool = False,
    ) -> None:
        check_positions(self, positions)
        self.require(num_categories >= 2, f"num_categories must be at least 2, got {num_categories}")
        self.require_positive("temperature", temperature)
        self.positions = tuple(positions)
        self.num_categories = num_categories
        self.temperature = temperature
        self.straight_through = straight_through

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size, positions=self.positions, categories=self.num_categories)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return (*self.positions, self.num_categories)

    def build(self, context: BuildContext) -> None:
        self.require_positive("temperature", self.temperature, steps=context.steps)
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=context.seed_for("codebook"))
        self.embeddings = keras.Variable(initializer([self.num_categories, context.latent.size]), name="codebook")

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Return independent categoricals, batch shape `[batch]`, event shape `positions`."""
        return tfd.Independent(tfd.Categorical(logits=features), len(self.positions))

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        perturbed = features + gumbel(features.shape, context.seed_for("z"))
        codes = tf.argmax(perturbed, axis=-1, output_type=tf.int32)
        exact = tf.one_hot(codes, self.num_categories)
        if context.training:
            relaxed = tf.nn.softmax(perturbed / scheduled(self.temperature, context.step))
            if self.straight_through:
                relaxed = straight_through(exact, relaxed)
        else:
            relaxed = exact
        z = tf.tensordot(relaxed, self.codebook(), axes=1)
        metrics = usage(exact)
        return Latent(self.distribution(features, context), value=codes, z=z, relaxed=relaxed, metrics=metrics)

    def codebook(self) -> tf.Tensor:
        """Return E, `[K, C]`."""
        return self.embeddings.value


def gumbel(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Draw standard Gumbel noise -log(-log u): argmax_k (l_k + g_k) is a draw from softmax(l) (Gumbel 1954)."""
    uniform = uniform_draws(math.prod(shape), seed, minval=2.0**-126)  # keeps log u finite
    return tf.reshape(-tf.math.log(-tf.math.log(uniform)), shape)
