"""The flow against TFP's chain of MaskedAutoregressiveFlow with the same weights: densities, draws, gradients."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from flows import away_from_the_identity, built
from small import context
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd
from tfdgm_flows.made import stacked
from tfdgm_priors import maf

from tfdgm.contracts.component import named_variables, raw


def layers_of(prior):
    return prior.stack.layers() if prior.stack else stacked([network.layers() for network in prior.networks])


def tfp_flow(prior):
    """The same distribution, as TFP has it: every draw takes d passes of each network, which is unrolled."""

    def shift_and_log_scale(z, number):
        hidden = z
        for layer, (kernels, biases) in enumerate(layers_of(prior)):
            hidden = (keras.activations.get(prior.activation)(hidden) if layer else hidden) @ kernels[number]
            hidden += biases[number]
        shift, raw_scale = tf.split(hidden, 2, axis=-1)
        return shift, prior.log_scale_bound * tf.tanh(raw_scale / prior.log_scale_bound)

    chain = []
    for number in range(prior.num_bijectors):
        if number:
            chain.append(tfb.Permute(prior.permutations[number - 1]))
        chain.append(tfb.MaskedAutoregressiveFlow(functools.partial(shift_and_log_scale, number=number)))
    noise = tfd.Independent(tfd.Normal(tf.zeros([prior.size]), 1.0), 1)
    return tfd.TransformedDistribution(noise, tfb.Chain(chain))


def everything(prior, make, z):
    """log p(z), draws, their log p, and gradients of all by z and the weights."""
    weights = [raw(variable) for variable in named_variables(prior).values()]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        log_prob = make().log_prob(z)
        distribution = make()
        draws = distribution.bijector.forward(z)
        drawn_log_prob = distribution.log_prob(draws)
        score = tf.reduce_sum(tf.sin(draws)) + tf.reduce_sum(drawn_log_prob * tf.range(float(z.shape[0])))
    found = [log_prob, draws, drawn_log_prob, make().sample(5, seed=[1, 2])]
    for value in (log_prob, score):
        found += tape.gradient(value, [z, *weights], unconnected_gradients="zero")
    return found


CASES = [
    # d, hidden, bijectors, activation, order, stacked
    (5, (16, 7), 3, "relu", "random", False),
    (5, (16, 7), 3, "tanh", "random", True),
    (4, (9,), 12, "relu", "reverse", None),
    (6, (3, 4), 2, "sigmoid", "reverse", False),  # fewer units than degrees, and units at rest are not 0
    (2, (4, 4), 2, "relu", "reverse", True),
    (1, (4,), 2, "relu", "reverse", False),
    (1, (4, 4), 3, "tanh", "random", True),
]


@pytest.mark.parametrize("size, hidden, count, activation, order, stacked", CASES)
def test_densities_draws_and_gradients_are_those_of_tfp(size, hidden, count, activation, order, stacked):
    prior = away_from_the_identity(
        built(size, hidden=hidden, num_bijectors=count, activation=activation, order=order, stacked=stacked)
    )
    z = tf.constant(np.random.RandomState(2).randn(6, size), tf.float32)
    ours, theirs = (
        everything(prior, make, z) for make in (lambda: prior.distribution(context()), lambda: tfp_flow(prior))
    )
    assert any(np.abs(gradient).max() > 0.1 for gradient in ours[5:])
    for found, expected in zip(ours, theirs, strict=True):
        # float32 through the bijectors, relative to the largest entry
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [False, True])
def test_draws_under_xla_are_those_of_tfp_for_the_same_seed(stacked):
    prior = away_from_the_identity(built(5, hidden=(16, 16), num_bijectors=3, stacked=stacked))
    ours, theirs = (
        tf.function(lambda seed, make=make: make().sample(9, seed=seed), jit_compile=True, autograph=False)
        for make in (lambda: prior.distribution(context()), lambda: tfp_flow(prior))
    )
    for seed in ([1, 2], [3, 4]):
        np.testing.assert_allclose(ours(tf.constant(seed)), theirs(tf.constant(seed)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("stacked", [False, True])
def test_any_leading_shape_is_kept(leading, stacked):
    distribution = away_from_the_identity(built(4, hidden=(8,), stacked=stacked)).distribution(context())
    z = tf.constant(np.random.RandomState(0).randn(*leading, 4), tf.float32)
    expected = distribution.log_prob(tf.reshape(z, [-1, 4]))
    np.testing.assert_allclose(distribution.log_prob(z), tf.reshape(expected, leading), atol=1e-5)  # float32
    assert distribution.sample(leading, seed=[1, 2]).shape == (*leading, 4)


@pytest.mark.parametrize("stacked", [False, True])
def test_the_number_of_points_may_be_a_tensor(stacked):
    prior = away_from_the_identity(built(4, hidden=(8,), stacked=stacked))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.int32)])
    def draw(number):
        distribution = prior.distribution(context())
        z = distribution.sample(number, seed=[1, 2])
        return z, prior.distribution(context()).log_prob(z)

    assert draw.get_concrete_function().structured_outputs[0].shape.as_list() == [None, 4]
    for number in (3, 7):
        z, log_prob = draw(tf.constant(number))
        np.testing.assert_allclose(z, prior.distribution(context()).sample(number, seed=[1, 2]), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(log_prob, prior.distribution(context()).log_prob(z), rtol=1e-5, atol=1e-5)


def test_a_density_takes_one_pass_and_the_density_of_a_draw_none(monkeypatch):
    passes = []

    def count(name):
        direction = getattr(maf, name)

        def counted(*given):
            passes.append(name)
            return direction(*given)

        monkeypatch.setattr(maf, name, counted)

    count("to_noise")
    count("from_noise")
    distribution = built(4, hidden=(8,)).distribution(context())
    distribution.log_prob(tf.ones([3, 4]))
    assert passes == ["to_noise"]
    distribution.log_prob(distribution.sample(3, seed=[1, 2]))
    assert passes == ["to_noise", "from_noise"]
