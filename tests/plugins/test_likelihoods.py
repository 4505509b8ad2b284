"""Likelihoods against SciPy."""

import dataclasses

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from small import digits_experiment, silent
from tfdgm_data.digits import Digits
from tfdgm_likelihoods.bernoulli import Bernoulli
from tfdgm_likelihoods.categorical import Categorical
from tfdgm_likelihoods.discretized_logistic import DiscretizedLogistic
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_likelihoods.student_t import StudentT

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import named_variables, trainable
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer

RANDOM = np.random.RandomState(0)
GREY = DataSpec(shape=(4, 3), low=-1.0, high=1.0, levels=9)
BYTES = DataSpec(shape=(1,), low=0.0, high=1.0, levels=256)
#: Locations, and logs of scales as multiples of 0.1, at which the discretised logistic of bytes is checked.
LOCATIONS = np.array([0.0, 0.3, -1.0, 1.0, 5.0, -30.0])
LOG_SCALES = [-30.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0, 16.0]


def built(likelihood, data=None):
    likelihood.build(BuildContext(data or DataSpec(shape=(4, 3)), LatentSpec(2), 10, None, 0))
    return likelihood


def grey_levels(data):
    """All values of x, `[levels]`."""
    return np.linspace(data.low, data.high, data.levels)


def on_levels(data, batch=5):
    """Positions of random grey levels `[batch, *shape]`, and x there."""
    k = np.random.RandomState(1).randint(0, data.levels, (batch, *data.shape))
    return k, grey_levels(data)[k].astype(np.float32)


def discretized_logistic(data, outputs, scale_from):
    """The distribution for outputs `[..., *shape, 2]`; a shared scale is that of the first output."""
    likelihood = built(DiscretizedLogistic(scale=0.1, scale_from=scale_from), data)
    if scale_from == "decoder":
        return likelihood.distribution(tf.constant(outputs, tf.float32))
    likelihood.log_scale.assign(np.log(0.1) + np.ravel(outputs)[1])
    return likelihood.distribution(tf.constant(outputs[..., 0], tf.float32))


def log_masses(data, location, log_scale):
    """log P of every level `[..., levels]` by SciPy: differences of F, or of 1 - F above the location."""
    step = (data.high - data.low) / (data.levels - 1)
    middle, half = (data.low + data.high) / 2, (data.high - data.low) / 2
    scale = np.maximum(0.1 * np.exp(log_scale), 0.05 * step)[..., None]
    edges = (grey_levels(data)[1:] - step / 2 - (middle + half * location)[..., None]) / scale
    infinite = np.full((*edges.shape[:-1], 1), np.inf)
    a, b = np.concatenate([-infinite, edges], -1), np.concatenate([edges, infinite], -1)
    logistic = scipy.stats.logistic
    mass = np.where(a > 0, logistic.sf(a) - logistic.sf(b), logistic.cdf(b) - logistic.cdf(a))
    with np.errstate(divide="ignore"):
        return np.log(mass)


def test_bernoulli_is_scipys_summed_over_the_event():
    outputs = RANDOM.randn(5, 4, 3).astype(np.float32) * 3
    x = (RANDOM.rand(5, 4, 3) < 0.5).astype(np.float32)
    expected = scipy.stats.bernoulli(1 / (1 + np.exp(-outputs.astype(float)))).logpmf(x).sum((1, 2))
    np.testing.assert_allclose(built(Bernoulli()).distribution(outputs).log_prob(x), expected, rtol=1e-5)  # float32


def test_bernoulli_stays_finite_where_the_logits_are_large():
    outputs = np.full((1, 4, 3), 200.0, np.float32)
    log_prob = built(Bernoulli()).distribution(outputs).log_prob(np.zeros((1, 4, 3), np.float32))
    np.testing.assert_allclose(log_prob, -2400.0, rtol=1e-6)  # 12 pixels at -200 each


@pytest.mark.parametrize("low, high", [(-0.1, 1.0), (0.0, 255.0)])
def test_bernoulli_refuses_data_outside_of_the_unit_interval(low, high):
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        Bernoulli().check(dataclasses.replace(DataSpec(shape=(2,)), low=low, high=high))


@pytest.mark.parametrize("scale", [0.1, 2.0])
@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_is_scipys_summed_over_the_event(scale, learned):
    outputs, x = RANDOM.randn(2, 5, 4, 3).astype(np.float32)
    likelihood = built(Gaussian(scale=scale, learned_scale=learned))
    expected = scipy.stats.norm(outputs.astype(float), scale).logpdf(x).sum((1, 2))
    np.testing.assert_allclose(likelihood.distribution(outputs).log_prob(x), expected, rtol=1e-4)  # float32, squares
    assert likelihood.log_scale.trainable is learned


def test_extra_leading_dimensions_are_batch_dimensions():
    assert built(Gaussian()).distribution(np.zeros((7, 5, 4, 3), np.float32)).batch_shape == (7, 5)
    assert built(Bernoulli()).distribution(np.zeros((7, 5, 4, 3), np.float32)).batch_shape == (7, 5)


def test_gaussian_refuses_a_scale_that_is_not_positive():
    with pytest.raises(UserError, match="scale must be positive, got 0"):
        Gaussian(scale=0)


@pytest.mark.parametrize("scale_from", ["shared", "decoder"])
@pytest.mark.parametrize("log_scale", LOG_SCALES)
def test_discretized_logistic_has_the_masses_of_scipy_and_they_add_up_to_one(log_scale, scale_from):
    outputs = np.stack([LOCATIONS, np.full(6, log_scale)], axis=-1)[None, :, None]
    expected = log_masses(BYTES, LOCATIONS, np.array(log_scale)).T
    x = grey_levels(BYTES)[:, None, None].astype(np.float32)
    log_prob = discretized_logistic(BYTES, outputs, scale_from).log_prob(x).numpy()
    # Float32 knows the location to 1e-5 levels, and 1e-3 far outside; it is divided by a scale of at least 0.05 levels
    held = np.isfinite(expected)  # elsewhere float64 has 0
    np.testing.assert_allclose(log_prob[held], expected[held], rtol=1e-5, atol=5e-4)
    assert np.all(log_prob[~held] < -700)
    np.testing.assert_allclose(np.exp(log_prob.astype(float)).sum(0), 1, atol=1e-6)  # 256 terms of float32


@pytest.mark.parametrize("scale_from", ["shared", "decoder"])
def test_discretized_logistic_is_summed_over_the_event_in_the_units_of_x(scale_from):
    outputs = np.stack([RANDOM.randn(5, 4, 3), np.full((5, 4, 3), 0.7)], axis=-1)
    if scale_from == "decoder":
        outputs[..., 1] = RANDOM.randn(5, 4, 3)
    k, x = on_levels(GREY)
    masses = log_masses(GREY, outputs[..., 0], outputs[..., 1])
    expected = np.take_along_axis(masses, k[..., None], -1).sum((1, 2, 3))
    distribution = discretized_logistic(GREY, outputs, scale_from)
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-5)  # float32
    assert distribution.batch_shape == (5,) and distribution.event_shape == (4, 3)
    mean = np.exp(masses) @ grey_levels(GREY)
    np.testing.assert_allclose(distribution.mean(), mean, rtol=1e-5, atol=1e-5)  # float32


@pytest.mark.parametrize("log_scale", LOG_SCALES)
def test_the_mean_of_the_discretized_logistic_is_the_sum_over_256_levels(log_scale):
    outputs = np.stack([LOCATIONS, np.full(6, log_scale)], axis=-1)[:, None]
    mean = discretized_logistic(BYTES, outputs, "decoder").mean()[:, 0]
    expected = np.exp(log_masses(BYTES, LOCATIONS, np.array(log_scale))) @ grey_levels(BYTES)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)  # float32, 255 terms


@pytest.mark.parametrize("location", [0.0, -1.0, 1.0, 30.0, -1e3])
def test_gradients_of_the_discretized_logistic_are_finite_everywhere(location):
    x = grey_levels(BYTES)[:, None].astype(np.float32)
    for log_scale in (-50.0, -5.0, 0.0, 5.0, 12.0, 20.0, 50.0):
        outputs = tf.constant(np.tile([location, log_scale], (256, 1, 1)), tf.float32)
        likelihood = built(DiscretizedLogistic(scale_from="decoder"), BYTES)
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            log_prob = likelihood.distribution(outputs).log_prob(x)
        assert np.all(np.isfinite(log_prob))
        assert np.all(np.isfinite(tape.gradient(log_prob, outputs)))


def test_the_gradient_of_the_discretized_logistic_pulls_towards_x():
    outputs = tf.constant(np.tile([0.1, 0.0], (256, 1, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        likelihood = built(DiscretizedLogistic(scale_from="decoder"), BYTES)
        log_prob = likelihood.distribution(outputs).log_prob(grey_levels(BYTES)[:, None].astype(np.float32))
    step = 1e-6
    higher, lower = (log_masses(BYTES, np.array(0.1 + change), np.array(0.0)) for change in (step, -step))
    gradient = tape.gradient(log_prob, outputs)[:, 0, 0]
    # differences of float64 lose half its digits; the largest gradients are 5
    np.testing.assert_allclose(gradient, (higher - lower) / (2 * step), rtol=1e-4, atol=1e-4)


def test_the_categorical_likelihood_is_a_softmax_at_the_level():
    outputs = 3 * RANDOM.randn(5, 4, 3, 9)
    k, x = on_levels(GREY)
    log_softmax = scipy.special.log_softmax(outputs, axis=-1)
    expected = np.take_along_axis(log_softmax, k[..., None], -1).sum((1, 2, 3))
    distribution = built(Categorical(), GREY).distribution(tf.constant(outputs, tf.float32))
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-5)  # float32
    mean = np.exp(log_softmax) @ grey_levels(GREY)
    np.testing.assert_allclose(distribution.mean(), mean, rtol=1e-5, atol=1e-6)  # float32


def test_every_byte_is_counted_to_its_own_level():
    logits = np.random.RandomState(2).randn(256, 1, 256)
    x = tf.cast(np.arange(256, dtype=np.uint8), tf.float32)[:, None] / 255.0  # as the data plugins make x
    log_prob = built(Categorical(), BYTES).distribution(tf.constant(logits, tf.float32)).log_prob(x)
    expected = np.diagonal(scipy.special.log_softmax(logits[:, 0], axis=-1))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)  # float32


@pytest.mark.parametrize("kind", ["categorical", "shared", "decoder"])
def test_draws_are_grey_levels_with_their_frequencies(kind):
    if kind == "categorical":
        outputs = np.random.RandomState(3).randn(4, 3, 9)
        distribution = built(Categorical(), GREY).distribution(tf.constant(outputs, tf.float32))
        masses = scipy.special.softmax(outputs, axis=-1)
    else:
        outputs = np.stack([np.random.RandomState(3).randn(4, 3), np.full((4, 3), 0.9)], axis=-1)
        distribution = discretized_logistic(GREY, outputs, kind)
        masses = np.exp(log_masses(GREY, outputs[..., 0], outputs[..., 1]))
    draws = distribution.sample(20_000, seed=[0, 1]).numpy()
    k = np.round((draws + 1) / 0.25).astype(int)
    np.testing.assert_array_equal(draws, grey_levels(GREY).astype(np.float32)[k])
    frequency = np.stack([(k == level).mean(axis=0) for level in range(9)], axis=-1)
    error = np.sqrt(masses * (1 - masses) / 20_000)
    # 108 frequencies within five standard errors; where the mass is below 1e-5, within two draws
    assert np.all(np.abs(frequency - masses) < 5 * error + 1e-4)


@pytest.mark.parametrize(
    "likelihood, shape, leading",
    [
        (Categorical(), (4, 3, 9), (7, 5)),
        (DiscretizedLogistic(), (4, 3), (7, 5)),
        (DiscretizedLogistic(scale_from="decoder"), (4, 3, 2), (7, 5)),
    ],
)
def test_likelihoods_of_grey_levels_declare_their_outputs(likelihood, shape, leading):
    assert likelihood.output_shape(GREY) == shape
    distribution = built(likelihood, GREY).distribution(tf.zeros([*leading, *shape]))
    assert distribution.batch_shape == leading and distribution.event_shape == (4, 3)


@pytest.mark.parametrize("likelihood", [Categorical(), DiscretizedLogistic()])
def test_likelihoods_of_grey_levels_refuse_continuous_data_by_name(likelihood):
    likelihood.check(GREY)
    with pytest.raises(UserError, match=rf"{likelihood.display_name()}.*continuous"):
        likelihood.check(DataSpec(shape=(4, 3), low=0.0, high=1.0))


def test_discretized_logistic_refuses_settings_out_of_range():
    with pytest.raises(UserError, match="scale must be positive, got 0"):
        DiscretizedLogistic(scale=0)
    with pytest.raises(UserError, match="'pixel'"):
        DiscretizedLogistic(scale_from="pixel")


class Grey(Digits):
    """Grey digits without validation, which would take a compilation."""

    def __init__(self):
        super().__init__(binarization="none")

    def splits(self):
        return {"train": super().splits()["train"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "likelihood",
    [Categorical(), DiscretizedLogistic(scale_from="decoder")],
    ids=["categorical", "discretized_logistic"],
)
def test_grey_digits_are_learned(tmp_path, likelihood):
    built = digits_experiment(data=Grey(), likelihood=likelihood, steps=100, steps_per_loop=50).build()
    Trainer(built, tmp_path, silent).train()
    first, last = (line["elbo"] for line in read_lines(tmp_path / "metrics.jsonl"))
    assert np.isfinite(first) and last > first + 1  # nats; over the first hundred steps it rises by tens


def test_the_shared_scale_is_learned_and_that_of_the_decoder_needs_no_variable():
    shared = built(DiscretizedLogistic(scale=0.2), GREY)
    with tf.GradientTape() as tape:
        log_prob = shared.distribution(tf.zeros([1, 4, 3])).log_prob(tf.ones([1, 4, 3]))
    assert shared.log_scale.trainable and float(shared.log_scale.value) == pytest.approx(np.log(0.2))
    assert (
        float(tape.gradient(log_prob, shared.log_scale.value)) > 1
    )  # x is at the end of the range: 12 pixels want more
    assert trainable(named_variables(built(DiscretizedLogistic(scale_from="decoder"), GREY))) == {}


@pytest.mark.parametrize("kind", [Gaussian, StudentT])
def test_a_learned_scale_starts_at_the_standard_deviation_of_the_training_examples(kind):
    rows = np.random.RandomState(0).randn(3_000, 3) * [1e-3, 5.0, 0.0] + 7
    few = rows[np.linspace(0, 2_999, 1_000).round().astype(int)]

    def scale(shape, **settings):
        likelihood = kind(**settings)
        wide = rows.reshape(3_000, *shape)
        context = BuildContext(DataSpec(shape=shape), LatentSpec(2), 3_000, lambda indices: wide[indices], 0)
        likelihood.build(context)
        return np.exp(likelihood.log_scale.numpy())

    deviations = np.array([few[:, 0].std(), few[:, 1].std(), 1.0])  # of a constant column 1
    np.testing.assert_allclose(scale((3,), learned_scale=True), deviations, rtol=1e-4)  # float32
    pooled = np.sqrt(np.mean(deviations**2))
    assert scale((3,), learned_scale=True, per_dimension=False) == pytest.approx(pooled, rel=1e-4)
    assert scale((1, 3), learned_scale=True) == pytest.approx(pooled, rel=1e-4)
    assert scale((3,)) == pytest.approx(0.1) and scale((3,), scale=2.0) == pytest.approx(2.0)
    np.testing.assert_allclose(scale((3,), scale=2.0, learned_scale=True), [2.0, 2.0, 2.0], rtol=1e-6)


def test_a_learned_scale_does_not_start_beyond_its_bounds():
    rows = 1e7 * np.random.RandomState(0).randn(100, 3)
    context = BuildContext(DataSpec(shape=(3,)), LatentSpec(2), 100, lambda indices: rows[indices], 0)
    with pytest.raises(UserError, match=r"must be between 1e-06 and 1e\+06; scale the data"):
        Gaussian(learned_scale=True).build(context)
