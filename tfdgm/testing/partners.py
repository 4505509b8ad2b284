"""The smallest component of each kind: what stands beside the plugin under check in a tiny experiment."""

import itertools
import math

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm.contracts.condition import ConditionSpec
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import ArraySource, Data, Source
from tfdgm.contracts.forward import Forward
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.network import Network
from tfdgm.contracts.objective import Loss, Objective
from tfdgm.contracts.posterior import Latent, Posterior
from tfdgm.contracts.prior import Prior
from tfdgm.contracts.specs import BuildContext, DataSpec, LatentSpec

#: Number of training rows.
NUM_ROWS = 256


class PartnerData(Data):
    """Rows that a `DataSpec` allows: normal, uniform within the range or over the grey levels, or Poisson counts."""

    def __init__(self, *, spec: DataSpec) -> None:
        self.spec = spec
        random = np.random.RandomState(0)
        shape = (NUM_ROWS, *spec.shape)
        if spec.counts:
            unit = random.poisson(2.0, size=shape) / spec.high
        elif spec.levels is not None:
            unit = random.randint(spec.levels, size=shape) / (spec.levels - 1)
        else:
            unit = random.uniform(size=shape)
        bounded = math.isfinite(spec.low) and math.isfinite(spec.high)
        rows = spec.low + (spec.high - spec.low) * unit if bounded else random.randn(*shape)
        self.rows = rows.astype(np.float32)
        self.conditions = None if spec.condition is None else conditions_of(spec.condition, NUM_ROWS)

    def splits(self) -> dict[str, Source]:
        few = None if self.conditions is None else self.conditions[:64]
        return {"train": ArraySource(self.rows, self.conditions), "validation": ArraySource(self.rows[:64], few)}


def conditions_of(condition: ConditionSpec, count: int) -> np.ndarray:
    """Return labels in turn, or normal vectors, `[count, *condition.shape]`."""
    if condition.categories is not None:
        return np.arange(count, dtype=np.int32) % condition.categories
    return np.random.RandomState(1).randn(count, condition.size).astype(np.float32)


class PartnerNetwork(Network):
    """W2 tanh(W1 x + b1) + b2 with eight hidden units; affine without them. A condition y is appended to x.

    Args:
      hidden: whether there is the hidden layer.
    """

    conditional = True

    def __init__(self, *, hidden: bool = False) -> None:
        self.hidden = hidden

    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        self.output_shape = output_shape
        self.condition = context.condition
        appended = 0 if context.condition is None else context.condition.width
        sizes = [math.prod(input_shape) + appended, *([8] if self.hidden else []), math.prod(output_shape)]
        self.kernels, self.biases = [], []
        for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            initializer = keras.initializers.GlorotUniform(seed=context.seed_for(f"layer {number}"))
            self.kernels.append(keras.Variable(initializer([inputs, outputs]), name="kernel"))
            self.biases.append(keras.Variable(tf.zeros([outputs]), name="bias"))

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        if self.condition is not None:
            assert context.y is not None
            x = tf.concat([x, self.condition.features(context.y)], axis=1)
        for number, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            x = tf.matmul(tf.tanh(x) if number else x, kernel.value) + bias.value
        return tf.reshape(x, [-1, *self.output_shape])


class PartnerPrior(Prior):
    """p(z) = N(0, I)."""

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size

    def distribution(self, context: Context) -> tfd.Distribution:
        return tfd.Independent(tfd.Normal(tf.zeros([self.size]), 1.0), 1)


class PartnerPosterior(Posterior):
    """q(z|x) = N(m, softplus(r)^2 I), the features being m and r."""

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return (2 * latent.size,)

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        mean, pre_scale = tf.split(features, 2, axis=-1)
        return tfd.Independent(tfd.Normal(mean, tf.nn.softplus(pre_scale) + 1e-4), 1)

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)


class PartnerCodes(Posterior):
    """q(c|x) over two codes of three, the features being the logits; z is the mean embedding in training."""

    positions, categories = (2,), 3

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size, positions=self.positions, categories=self.categories)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return (*self.positions, self.categories)

    def build(self, context: BuildContext) -> None:
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=context.seed_for("codebook"))
        self.embeddings = keras.Variable(initializer([self.categories, context.latent.size]), name="codebook")

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        return tfd.Independent(tfd.Categorical(logits=features), 1)

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        codes = posterior.sample(seed=context.seed_for("codes"))
        weights = tf.nn.softmax(features) if context.training else tf.one_hot(codes, self.categories)
        return Latent(posterior, value=codes, z=tf.tensordot(weights, self.codebook(), 1), relaxed=weights)

    def codebook(self) -> tf.Tensor:
        return self.embeddings.value


class PartnerLikelihood(Likelihood):
    """p(x|z) = N(x; m(z), scale^2 I).

    Args:
      scale: of every element of x.
    """

    def __init__(self, *, scale: float = 0.5) -> None:
        self.scale = scale

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        return tfd.Independent(tfd.Normal(outputs, self.scale), self.event_rank)


class PartnerObjective(Objective):
    """The negative ELBO."""

    needs_posterior = True

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        return Loss(forward.rate - forward.reconstruction)
