"""The autoregressive prior over codes: causality, normalisation, draws, learning."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from autoregressive_priors import built_prior
from scipy.special import log_softmax
from small import context, points_experiment
from tfdgm_posteriors.categorical import Categorical
from tfdgm_priors.autoregressive import Autoregressive
from tfdgm_priors.uniform import Uniform

from tfdgm import Context, UserError
from tfdgm.contracts.component import named_variables, raw, trainable
from tfdgm.model.forward_pass import ForwardPass

GRIDS = np.array(list(itertools.product(range(3), repeat=4)), np.int32).reshape(-1, 2, 2)


@pytest.mark.parametrize("position", range(6))
def test_the_conditional_at_a_position_depends_on_codes_before_it_alone(position):
    prior = built_prior((2, 3), 5)
    codes = np.random.RandomState(2).randint(0, 5, (20, 6)).astype(np.int32)
    changed = codes.copy()
    changed[:, position] = (changed[:, position] + 1) % 5
    before, after = (prior.logits(tf.constant(each), context()).numpy() for each in (codes, changed))
    assert before.shape == (20, 6, 5)
    np.testing.assert_array_equal(before[:, : position + 1], after[:, : position + 1])
    # and every later one does depend on it
    assert (np.abs(before - after)[:, position + 1 :].max(axis=(0, 2)) > 1e-3).all()


def test_the_probabilities_of_all_grids_add_up_to_one():
    log_prob = built_prior().distribution(context()).log_prob(GRIDS).numpy().astype(np.float64)
    assert log_prob.std() > 0.5  # far from uniform
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)  # float32


def test_the_log_probability_is_the_sum_over_the_conditionals():
    prior = built_prior()
    expected = np.zeros(len(GRIDS))
    flat = GRIDS.reshape(-1, 4)
    for position in range(4):
        past = np.where(np.arange(4) < position, flat, 0)  # what is not drawn yet reads 0
        conditional = log_softmax(prior.logits(tf.constant(past), context()).numpy(), axis=-1)[:, position]
        expected += conditional[np.arange(81), flat[:, position]]
    found = prior.distribution(context()).log_prob(GRIDS)
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32


@pytest.mark.parametrize("leading", [(), (81,), (3, 27)])
def test_any_leading_shape_is_kept(leading):
    distribution = built_prior().distribution(context())
    assert distribution.event_shape == (2, 2) and distribution.batch_shape == ()
    grids = GRIDS.reshape(*leading, 2, 2) if leading else GRIDS[5]
    expected = distribution.log_prob(GRIDS).numpy().reshape(leading) if leading else distribution.log_prob(GRIDS)[5]
    np.testing.assert_allclose(distribution.log_prob(grids), expected, atol=1e-6)  # float32


@pytest.mark.slow
def test_draws_have_the_exact_probabilities_under_xla():
    prior, count = built_prior(), 20_000

    @tf.function(jit_compile=True, autograph=False)
    def draw(seed):
        return prior.distribution(context()).sample(count, seed=seed)

    draws = draw(tf.constant([1, 2])).numpy()
    assert draws.dtype == np.int32 and draws.shape == (count, 2, 2)
    number = draws.reshape(count, 4) @ [27, 9, 3, 1]
    found = np.bincount(number, minlength=81)
    expected = count * np.exp(prior.distribution(context()).log_prob(GRIDS).numpy().astype(np.float64))
    often = expected >= 5  # rarer grids are counted as one, as a chi-square test wants it
    found, expected = (np.append(array[often], array[~often].sum() + 1e-9) for array in (found, expected))
    statistic = np.sum((found - expected) ** 2 / expected)
    freedom = len(found) - 1
    assert freedom > 40
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)  # mean and five standard deviations of chi-square
    assert (draw(tf.constant([1, 3])).numpy() != draws).any()
    np.testing.assert_array_equal(draw(tf.constant([1, 2])), draws)


@pytest.mark.slow
def test_trained_on_a_known_distribution_it_approaches_the_entropy():
    prior = built_prior((2,), 3, spread=0.0, dropout=0.0)
    grids = tf.constant(list(itertools.product(range(3), repeat=2)), tf.int32)
    target = np.array([0.3, 0.02, 0.1, 0.0, 0.2, 0.05, 0.08, 0.2, 0.05])  # not a product of its margins
    entropy = -np.sum(target[target > 0] * np.log(target[target > 0]))
    variables = [raw(variable) for variable in trainable(named_variables(prior)).values()]
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(variables)

    @tf.function(jit_compile=True, autograph=False)
    def step(seed):
        with tf.GradientTape() as tape:
            log_prob = prior.distribution(Context(seed, tf.constant(0, tf.int64), training=True)).log_prob(grids)
            loss = -tf.reduce_sum(tf.constant(target, tf.float32) * log_prob)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    losses = [float(step(tf.constant([0, 1]))) for _ in range(400)]
    assert losses[0] == pytest.approx(2 * np.log(3), abs=0.05)  # starts near uniform
    assert min(losses) > entropy - 1e-5  # the cross-entropy is never below, but for float32
    # a prior that took the positions for independent would be 0.32 nats above
    assert losses[-1] == pytest.approx(entropy, abs=0.01)


def test_no_gradient_passes_from_it_to_the_posterior():
    gradients = {}
    for name, prior in (("autoregressive", Autoregressive(width=8, layers=1, heads=2)), ("uniform", Uniform())):
        posterior = Categorical(positions=(2,), num_categories=3)
        model = points_experiment(prior=prior, posterior=posterior).build().model
        weights = [raw(variable) for variable in trainable(named_variables(model.encoder)).values()]

        @tf.function(jit_compile=True, autograph=False)
        def pull(x, seed, model=model, weights=weights, posterior=posterior):
            with tf.GradientTape() as tape:
                forward = ForwardPass(model, x, Context(seed, tf.constant(0, tf.int64), training=True))
                loss = tf.reduce_mean(forward.rate)
            found = tape.gradient(loss, [*weights, posterior.embeddings.value])
            assert found[-1] is None  # a prior over codes does not move the codebook
            return found[:-1]

        gradients[name] = pull(tf.constant(model.data.rows[:9]), tf.constant([1, 2]))
    assert float(tf.norm(gradients["uniform"][0])) > 0.01
    for own, uniforms in zip(gradients["autoregressive"], gradients["uniform"], strict=True):
        np.testing.assert_allclose(own, uniforms, rtol=1e-4, atol=1e-6)  # float32 in two programs


def test_dropout_is_drawn_anew_in_training_and_absent_elsewhere():
    prior = built_prior(dropout=0.3)
    codes = tf.constant(GRIDS[:5].reshape(5, 4))
    plain = prior.logits(codes, context())
    np.testing.assert_array_equal(prior.logits(codes, context(seed=1)), plain)
    first, second = (prior.logits(codes, context(seed, training=True)).numpy() for seed in (0, 1))
    assert (first != second).any() and (first != plain.numpy()).any()
    without = built_prior(dropout=0.0)
    np.testing.assert_array_equal(without.logits(codes, context(training=True)), without.logits(codes, context()))


@pytest.mark.parametrize(
    "wrong, expected",
    [
        ({"layers": 0}, "layers must be at least 1"),
        ({"heads": 3}, "heads must divide width, both positive, got 3 and 64"),
        ({"heads": 0}, "got 0 and 64"),
        ({"width": 0}, "got 4 and 0"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_wrong_hyperparameters_are_refused(wrong, expected):
    with pytest.raises(UserError, match=expected):
        Autoregressive(**wrong)
