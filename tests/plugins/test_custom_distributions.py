"""Every distribution derived from CustomDistribution: shapes, draws, densities, copies."""

import math

import numpy as np
import pytest
import tensorflow as tf
from small import context
from tensorflow_probability import distributions as tfd
from tfdgm_likelihoods.levels import OnLevels
from tfdgm_priors.autoregressive import Autoregressive
from tfdgm_priors.categorical_mixture import CategoricalMixture
from tfdgm_priors.gaussian_mixture import GaussianMixture

from tfdgm import BuildContext, CustomDistribution, DataSpec, LatentSpec


class Angle(CustomDistribution):
    """The example of `CustomDistribution`'s documentation, with draws by inversion on a grid."""

    def __init__(self, concentration):
        super().__init__(dict(locals()), dtype=tf.float32, event_shape=())
        self.concentration = concentration

    def _log_prob(self, angle):
        log_normaliser = math.log(2 * math.pi) + tf.math.log(tf.math.bessel_i0(self.concentration))
        return self.concentration * tf.cos(angle) - log_normaliser

    def _sample_n(self, n, seed):
        grid = tf.linspace(-math.pi, math.pi, 1_000)
        cumulative = tf.cumsum(tf.exp(self.log_prob(grid)))
        u = tf.random.stateless_uniform([n], seed) * cumulative[-1]
        return tf.gather(grid, tf.searchsorted(cumulative, u))


def on_levels():
    logits = tf.constant(np.random.RandomState(0).randn(3, 2, 4), tf.float32)
    base = tfd.Categorical(logits=logits)
    mean_level = lambda: tf.reduce_sum(base.probs_parameter() * tf.range(4.0), axis=-1)  # noqa: E731
    return OnLevels(base, mean_level, DataSpec(shape=(2,), low=-1.0, high=1.0, levels=4))


def categorical_mixture():
    return CategoricalMixture(tf.nn.log_softmax(tf.constant(np.random.RandomState(0).randn(5, 2, 2, 3), tf.float32)))


def gaussian_mixture():
    mean, log_scale = np.random.RandomState(0).randn(2, 6, 2).astype(np.float32)
    return GaussianMixture(tf.constant(mean), tf.exp(log_scale), learned=False)


def autoregressive_codes():
    prior = Autoregressive(width=4, layers=1, heads=1)
    spec = LatentSpec(size=2, positions=(2, 2), categories=3)
    prior.build(BuildContext(DataSpec((3,)), spec, 1, lambda indices: indices, seed=0))
    return prior.distribution(context())


#: constructor, batch shape, event shape, dtype
DISTRIBUTIONS = {
    "angle": (lambda: Angle(tf.constant(2.0)), (), (), tf.float32),
    "on_levels": (on_levels, (3, 2), (), tf.float32),
    "categorical_mixture": (categorical_mixture, (), (2, 2), tf.int32),
    "gaussian_mixture": (gaussian_mixture, (), (2,), tf.float32),
    "autoregressive_codes": (autoregressive_codes, (), (2, 2), tf.int32),
}
EVERY_DISTRIBUTION = pytest.mark.parametrize(
    "make, batch_shape, event_shape, dtype", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys()
)
SEED = tf.constant([3, 4])


@EVERY_DISTRIBUTION
def test_shapes_are_static_and_agree_with_their_tensors(make, batch_shape, event_shape, dtype):
    distribution = make()
    assert (distribution.batch_shape, distribution.event_shape, distribution.dtype) == (batch_shape, event_shape, dtype)
    assert tuple(distribution.batch_shape_tensor().numpy()) == batch_shape
    assert tuple(distribution.event_shape_tensor().numpy()) == event_shape
    assert distribution.reparameterization_type == tfd.NOT_REPARAMETERIZED


@EVERY_DISTRIBUTION
@pytest.mark.parametrize("sample_shape", [(), (7,), (2, 3)])
def test_draws_and_their_densities_have_every_leading_shape(make, batch_shape, event_shape, dtype, sample_shape):
    distribution = make()
    draws = distribution.sample(sample_shape, seed=SEED)
    assert draws.shape == (*sample_shape, *batch_shape, *event_shape) and draws.dtype == dtype
    assert distribution.log_prob(draws).shape == (*sample_shape, *batch_shape)


@EVERY_DISTRIBUTION
def test_a_seed_fixes_the_draws(make, batch_shape, event_shape, dtype):
    distribution = make()
    first, again, other = (distribution.sample(50, seed=seed) for seed in (SEED, SEED, SEED + 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@EVERY_DISTRIBUTION
def test_a_copy_is_built_from_the_same_parameters(make, batch_shape, event_shape, dtype):
    distribution = make()
    draws = distribution.sample(5, seed=SEED)
    np.testing.assert_array_equal(distribution.copy().log_prob(draws), distribution.log_prob(draws))
    assert not {"self", "__class__"} & set(distribution.parameters)


def test_the_batch_shape_of_a_transformed_distribution_may_be_dynamic():
    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def draw(logits):
        pixels = OnLevels(tfd.Categorical(logits=logits), lambda: 0.0, DataSpec((1,), low=0.0, high=3.0, levels=4))
        return pixels.sample(2, seed=SEED), pixels.batch_shape_tensor()

    draws, batch_shape = draw(tf.zeros([5, 4]))
    assert draws.shape == (2, 5) and tuple(batch_shape.numpy()) == (5,)


def test_the_documented_example_is_a_density():
    angles = tf.linspace(-math.pi, math.pi, 1_001)[:-1]
    # the midpoint rule is exact to rounding for a smooth periodic function
    assert np.exp(Angle(tf.constant(2.0)).log_prob(angles)).mean() * 2 * math.pi == pytest.approx(1, abs=1e-5)
