"""The categorical posterior: its draws, their relaxation, and the exact rate."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from small import context, points_experiment
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.codes import usage
from tfdgm_priors.gaussian import Gaussian
from tfdgm_priors.uniform import Uniform

from tfdgm import BuildContext, Context, DataSpec, UserError
from tfdgm.model.forward_pass import ForwardPass

DATA = DataSpec((3,))


def built_posterior(steps=100, positions=(2,), num_categories=4, **hyperparameters):
    posterior = Categorical(positions=positions, num_categories=num_categories, **hyperparameters)
    posterior.build(BuildContext(DATA, posterior.latent_spec(3, DATA), 1, lambda indices: indices, 0, steps))
    return posterior


def logits_of(batch=5, positions=(2,), categories=4, seed=0):
    return np.random.RandomState(seed).randn(batch, *positions, categories).astype(np.float32)


def called(posterior, logits, seed=(1, 2), step=0, training=True):
    """Return the posterior's latent for the logits, as arrays; compiled, since threefry has no eager CPU kernel."""

    @tf.function(jit_compile=True, autograph=False)
    def call(logits, seed, step):
        latent = posterior(logits, Context(seed, step, training=training))
        return {"value": latent.value, "z": latent.z, "relaxed": latent.relaxed, **latent.metrics}

    found = call(tf.constant(logits), tf.constant(seed), tf.constant(step, tf.int64))
    return {name: tensor.numpy() for name, tensor in found.items()}


def gradients(posterior, logits, weights):
    """d sum(weights * z) with respect to the logits and to the codebook, in training."""

    @tf.function(jit_compile=True, autograph=False)
    def pull(logits, seed):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            latent = posterior(logits, Context(seed, tf.constant(0, tf.int64), training=True))
            total = tf.reduce_sum(weights * latent.z)
        return tape.gradient(total, [logits, posterior.embeddings.value])

    return [gradient.numpy() for gradient in pull(tf.constant(logits), tf.constant([1, 2]))]


@pytest.mark.parametrize("positions", [(4,), (2, 2)])
def test_under_a_uniform_prior_the_rate_is_the_log_of_the_number_of_grids_less_the_entropy(positions):
    posterior = Categorical(positions=positions, num_categories=5)
    model = points_experiment(prior=Uniform(), posterior=posterior).build().model
    x = tf.constant(model.data.rows[:7])
    logits = model.features(x, context()).numpy().astype(np.float64)
    assert logits.shape == (7, *positions, 5)
    entropy = -np.sum(softmax(logits, axis=-1) * log_softmax(logits, axis=-1), axis=tuple(range(1, logits.ndim)))

    @tf.function(jit_compile=True, autograph=False)
    def rate(x, seed):
        return ForwardPass(model, x, Context(seed, tf.constant(0, tf.int64), training=True)).rate

    # float32
    np.testing.assert_allclose(rate(x, tf.constant([1, 2])), 4 * np.log(5) - entropy, rtol=1e-5)


def test_under_a_density_the_rate_is_the_sum_over_the_codes_of_every_position():
    model = points_experiment(prior=Gaussian(), posterior=Categorical(positions=(3,), num_categories=5)).build().model
    x = tf.constant(model.data.rows[:7])
    log_q = log_softmax(model.features(x, context()).numpy().astype(np.float64), axis=-1)
    log_p = log_softmax(-0.5 * np.sum(model.posterior.codebook().numpy().astype(np.float64) ** 2, axis=1))
    exact = np.sum(np.exp(log_q) * (log_q - log_p), axis=(1, 2))

    @tf.function(jit_compile=True, autograph=False)
    def rate(x, seed):
        return ForwardPass(model, x, Context(seed, tf.constant(0, tf.int64), training=True)).rate

    np.testing.assert_allclose(rate(x, tf.constant([1, 2])), exact, rtol=1e-5)  # float32


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
def test_codes_are_drawn_with_the_probabilities_of_the_softmax(training):
    count = 20_000
    logits = logits_of(1, (2,), 4)
    codes = called(built_posterior(), np.repeat(logits, count, axis=0), training=training)["value"]
    assert codes.dtype == np.int32
    frequency = (codes[..., None] == np.arange(4)).mean(axis=0)
    probability = softmax(logits[0], axis=-1)
    error = np.sqrt(probability * (1 - probability) / count)
    assert np.all(np.abs(frequency - probability) < 5 * error)  # eight numbers within five standard errors
    # the positions are independent: 16 joint frequencies, likewise
    joint = np.histogram2d(codes[:, 0], codes[:, 1], bins=[range(5), range(5)])[0] / count
    expected = np.outer(*probability)
    assert np.all(np.abs(joint - expected) < 5 * np.sqrt(expected * (1 - expected) / count))


def test_relaxed_codes_lie_on_the_simplex_and_the_decoder_reads_their_mean_of_the_codebook():
    posterior = built_posterior(temperature=0.7)
    found = called(posterior, logits_of(50))
    assert found["relaxed"].min() >= 0
    np.testing.assert_allclose(found["relaxed"].sum(axis=-1), 1, atol=1e-6)  # float32
    np.testing.assert_array_equal(found["relaxed"].argmax(axis=-1), found["value"])
    expected = found["relaxed"] @ posterior.codebook().numpy()
    np.testing.assert_allclose(found["z"], expected, atol=1e-5)  # float32 sums of four terms


def test_relaxed_codes_are_the_softmax_of_perturbed_logits_over_the_temperature():
    cold, warm = (called(built_posterior(temperature=t), logits_of(50))["relaxed"] for t in (0.5, 1.0))
    # softmax(a / 0.5) is proportional to softmax(a) squared, at the same noise
    expected = warm.astype(np.float64) ** 2
    np.testing.assert_allclose(cold, expected / expected.sum(axis=-1, keepdims=True), rtol=1e-4, atol=1e-7)  # float32


@pytest.mark.slow
def test_as_the_temperature_falls_relaxed_codes_become_exact():
    distances = []
    for temperature in (1.0, 0.1, 0.01, 0.0001):
        found = called(built_posterior(temperature=temperature), logits_of(200))
        distances.append(np.abs(found["relaxed"] - np.eye(4)[found["value"]]).sum(axis=-1).mean())
    assert distances == sorted(distances, reverse=True)
    # One differs from exact where the two largest of four perturbed logits are closer than some temperatures: their
    # distance has a density of order 1 at 0, so a share of order 1e-3 of the 400 positions.
    assert distances[-1] < 0.01


def test_straight_through_reads_exact_codes_with_the_gradient_of_relaxed_ones():
    logits, weights = logits_of(6), np.random.RandomState(1).randn(6, 2, 3).astype(np.float32)
    hard, soft = built_posterior(straight_through=True), built_posterior(straight_through=False)
    found = called(hard, logits)
    np.testing.assert_array_equal(found["relaxed"], np.eye(4)[found["value"]])
    np.testing.assert_array_equal(found["z"], hard.codebook().numpy()[found["value"]])
    (of_hard, codebook_of_hard), (of_soft, _) = gradients(hard, logits, weights), gradients(soft, logits, weights)
    assert np.abs(of_soft).max() > 0.01
    np.testing.assert_allclose(of_hard, of_soft, atol=1e-6)
    expected = np.einsum("bnk,bnc->kc", np.eye(4)[found["value"]], weights)
    np.testing.assert_allclose(codebook_of_hard, expected, atol=1e-5)


def test_the_gradient_of_relaxed_codes_is_that_of_the_softmax():
    posterior, logits = built_posterior(temperature=0.5), logits_of(6)
    weights = np.random.RandomState(1).randn(6, 2, 3).astype(np.float32)
    y = called(posterior, logits)["relaxed"].astype(np.float64)
    of_y = weights @ posterior.codebook().numpy().T.astype(np.float64)  # d / dy
    expected = y * (of_y - np.sum(y * of_y, axis=-1, keepdims=True)) / 0.5
    np.testing.assert_allclose(gradients(posterior, logits, weights)[0], expected, rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize("straight_through", [True, False])
def test_outside_of_training_the_decoder_reads_rows_of_the_codebook(straight_through):
    posterior = built_posterior(straight_through=straight_through)
    found = called(posterior, logits_of(50), training=False)
    np.testing.assert_array_equal(found["z"], posterior.codebook().numpy()[found["value"]])
    np.testing.assert_array_equal(found["z"], posterior.embed(tf.constant(found["value"])))
    np.testing.assert_array_equal(found["relaxed"], np.eye(4)[found["value"]])


@pytest.mark.slow
def test_a_scheduled_temperature_is_that_of_the_step():
    falling = built_posterior(10, temperature=keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.25))
    for step, temperature in ((0, 1.0), (10, 0.25)):
        scheduled = called(falling, logits_of(), step=step)["relaxed"]
        fixed = called(built_posterior(temperature=temperature), logits_of())["relaxed"]
        np.testing.assert_allclose(scheduled, fixed, atol=1e-6)  # float32


def test_a_schedule_that_reaches_zero_is_refused_if_the_run_lasts_so_long():
    falling = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)
    built_posterior(9, temperature=falling)
    for steps in (10, 100, 12_345):
        with pytest.raises(UserError, match="its schedule gives 0 at step"):
            built_posterior(steps, temperature=falling)
    with pytest.raises(UserError, match="temperature must be positive, but its schedule gives 0 at step"):
        points_experiment(prior=Uniform(), posterior=Categorical(temperature=falling), steps=20).build()


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": -0.5},
        {"positions": ()},
        {"positions": (2, 2, 2)},
        {"positions": (0,)},
        {"positions": (2, -1)},
        {"num_categories": 1},
    ],
    ids=str,
)
def test_wrong_hyperparameters_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Categorical(**wrong)


def test_the_perplexity_is_that_of_the_mean_over_batch_and_positions():
    probabilities = softmax(3 * logits_of(5, (2, 3)), axis=-1)
    mean = probabilities.reshape(-1, 4).mean(axis=0)
    expected = np.exp(-np.sum(mean * np.log(mean)))
    assert float(usage(tf.constant(probabilities))["code_perplexity"]) == pytest.approx(expected, rel=1e-5)  # float32
    assert called(built_posterior(), np.log(probabilities[:, 0, :2]))["code_perplexity"] < 4


@pytest.mark.parametrize("used", [1, 3])
def test_codes_used_alike_have_the_perplexity_of_their_number(used):
    one_hot = tf.one_hot(tf.reshape(tf.range(12) % used, [6, 2]), 4)
    assert float(usage(one_hot)["code_perplexity"]) == pytest.approx(used, rel=1e-6)  # float32
