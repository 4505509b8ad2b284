"""Draws of the autoregressive prior by its cache, against draws that run the whole network for every position.

Rounding differs between the two, which can change a code where two are tied. The weights and seeds are fixed, and with
them no code is.
"""

import numpy as np
import pytest
import tensorflow as tf
from autoregressive_priors import built_prior
from small import context
from tensorflow_probability import distributions as tfd

POSITIONS, CATEGORIES, NUMBER = (2, 3), 5, 32
SEED = tf.constant([5, 6])


@pytest.fixture(scope="module")
def prior():
    return built_prior(POSITIONS, CATEGORIES, dropout=0.3)


def draws_by_full_passes(prior, seed, context):
    """One pass over the whole grid for each position."""
    seeds = tf.random.split(seed, prior.length)

    def draw(position, codes):
        logits = tf.gather(prior.logits(codes, context), position, axis=1)
        drawn = tfd.Categorical(logits=logits).sample(seed=seeds[position])
        return position + 1, tf.where(tf.range(prior.length) == position, drawn[:, None], codes)

    start = (0, tf.zeros([NUMBER, prior.length], tf.int32))
    _, codes = tf.while_loop(lambda position, _: position < prior.length, draw, start)
    return tf.reshape(codes, [NUMBER, *prior.event_shape])


@pytest.mark.parametrize("training", [False, True])
def test_a_draw_is_the_one_that_full_passes_give(prior, training):
    given = context(training=training)
    drawn = prior.distribution(given).sample(NUMBER, seed=SEED)
    np.testing.assert_array_equal(drawn, draws_by_full_passes(prior, SEED, given))
    assert len(np.unique(drawn.numpy().reshape(NUMBER, -1), axis=0)) > NUMBER / 2
    if training:  # the dropped units differ from draw to draw and matter
        assert (drawn.numpy() != prior.distribution(context()).sample(NUMBER, seed=SEED).numpy()).any()


@pytest.mark.slow
def test_a_draw_under_xla_is_the_one_that_full_passes_give(prior):
    def compiled(draw):
        return tf.function(draw, jit_compile=True, autograph=False)(SEED)

    drawn = compiled(lambda seed: prior.distribution(context()).sample(NUMBER, seed=seed))
    np.testing.assert_array_equal(drawn, compiled(lambda seed: draws_by_full_passes(prior, seed, context())))


def test_the_number_of_draws_may_be_a_tensor(prior):
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.int32)])
    def draw(number):
        distribution = prior.distribution(context())
        codes, probabilities = distribution.sample_with_probabilities(number, SEED)
        return distribution.sample(number, seed=SEED), codes, probabilities

    assert draw.get_concrete_function().structured_outputs[0].shape.as_list() == [None, *POSITIONS]
    for number in (NUMBER, 7):
        expected = prior.distribution(context()).sample(number, seed=SEED)
        codes, again, probabilities = draw(tf.constant(number))
        np.testing.assert_array_equal(codes, expected)
        np.testing.assert_array_equal(again, expected)
        assert probabilities.shape == (number, *POSITIONS, CATEGORIES)


def test_the_probabilities_are_those_that_each_code_was_drawn_from(prior):
    distribution = prior.distribution(context())
    codes, probabilities = distribution.sample_with_probabilities(NUMBER, SEED)
    chosen = np.take_along_axis(probabilities.numpy(), codes.numpy()[..., None], axis=-1)
    np.testing.assert_allclose(np.log(chosen).sum(axis=(1, 2, 3)), distribution.log_prob(codes), atol=1e-4)  # float32
    np.testing.assert_allclose(probabilities.numpy().sum(axis=-1), 1, atol=1e-5)


def test_the_cache_has_the_hidden_states_of_the_full_pass(prior):
    """Every block at every position, where a code may hide a difference that no draw shows."""
    random = np.random.RandomState(3)
    hidden = tf.constant(random.randn(4, prior.length, prior.width), tf.float32)
    for block in prior.blocks:
        given = context(training=True)
        expected = block(hidden, given)
        masks = block.dropout_masks(tf.shape(hidden), given)
        cache = prior.empty_caches(4)[0]
        found = []
        for position in range(prior.length):
            output, cache = block.step(hidden[:, position], tf.constant(position), cache, masks)
            found.append(output)
        np.testing.assert_allclose(tf.stack(found, axis=1), expected, atol=1e-5)  # float32
