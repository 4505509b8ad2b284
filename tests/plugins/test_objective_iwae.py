"""The importance-weighted bound and both of its gradients, against a model whose evidence is known."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from small import context, normal_rows, points_experiment, silent
from small_critics import refused
from tensorflow_probability import distributions as tfd
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_objectives.iwae import IWAE, signal_to_noise
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.gaussian import Gaussian as GaussianPosterior
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior
from tfdgm_priors.autoregressive import Autoregressive
from tfdgm_priors.maf import MAF

from tfdgm import Latent, Summed
from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Collector
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.runs.metrics_file import read_lines
from tfdgm.runs.players import make_players
from tfdgm.training.trainer import Trainer
from tfdgm.verification.linear_gaussian import (
    SCALE,
    linear_gaussian,
    log_evidence,
    log_likelihood,
    posterior_mean,
    widened_gap,
)

WIDEN = 1.5
X = np.random.RandomState(5).randn(40, 2).astype(np.float32)


def codes(**settings):
    return Categorical(positions=(2,), num_categories=3, **settings)


def gradients_of(objective, built, seed=0, x=X, training=True):
    """The loss of one pass, and the gradient of its mean by the name of the variable."""
    variables = {path: raw(variable) for path, variable in built.players[-1].variables.items()}
    with tf.GradientTape() as tape:
        forward = ForwardPass(built.model, tf.constant(x), context(seed=seed, training=training))
        loss = objective.model_loss(forward, forward.context)
        mean = tf.reduce_mean(loss.value)
    return loss, dict(zip(variables, tape.gradient(mean, list(variables.values())), strict=True))


# ---- one draw


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"prior": MAF(num_bijectors=1, hidden=(4,))},
        {"posterior": codes()},
        {"posterior": codes(straight_through=True), "prior": AggregatedPosterior(num_components=5)},
        {"posterior": VQ(positions=(2,), num_codes=4, learning="gradient")},
    ],
    ids=["closed form", "single draw", "relaxed codes", "mixture over codes", "quantised"],
)
def test_with_one_draw_loss_metrics_and_gradients_are_those_of_the_elbo_to_the_digit(parts):
    built = points_experiment(**parts).build()
    (expected, gradients), (found, others) = (
        gradients_of(objective, built, x=normal_rows(20)) for objective in (ELBO(), IWAE(draws=1))
    )
    np.testing.assert_array_equal(found.value, expected.value)
    for name in ("elbo", "reconstruction", "rate"):
        np.testing.assert_array_equal(found.metrics[name], expected.metrics[name])
    np.testing.assert_array_equal(found.metrics["iwae_bound"], -expected.value)
    np.testing.assert_array_equal(found.metrics["effective_draws"], np.ones(20))
    for path, gradient in gradients.items():
        assert (gradient is None) == (others[path] is None), path
        if gradient is not None:
            np.testing.assert_allclose(others[path], gradient, rtol=1e-6, atol=1e-7, err_msg=path)  # order of sums


# ---- the bound


@pytest.fixture(scope="module")
def widened():
    """The linear Gaussian model, with 1.5 times the scale of the true posterior."""
    return linear_gaussian(widen=WIDEN)


def bounds(built, draws, passes=800):
    """The bound of every example `[800, 40]`, from independent draws."""
    objective = IWAE(draws=draws)

    @tf.function(jit_compile=True)
    def bound(x, number):
        forward = ForwardPass(built.model, x, context(step=number))
        return objective.model_loss(forward, forward.context).metrics["iwae_bound"]

    return np.stack([bound(tf.constant(X), tf.constant(number)) for number in range(passes)]).astype(np.float64)


def test_the_bound_is_below_the_evidence_rises_with_the_draws_and_comes_close(widened):
    evidence = log_evidence(X)
    found = {draws: bounds(widened, draws) for draws in (2, 8, 64)}
    error = {draws: values.mean(axis=1).std() / np.sqrt(len(values)) for draws, values in found.items()}
    gap = {draws: (evidence - values.mean(axis=0)).mean() for draws, values in found.items()}
    # over four standard errors apart; the gap with one draw is exact
    assert widened_gap(WIDEN) > gap[2] + 4 * error[2]
    assert gap[2] > gap[8] + 4 * (error[2] + error[8]) and gap[8] > gap[64] + 4 * (error[8] + error[64])
    assert gap[64] > 4 * error[64]
    assert gap[64] == pytest.approx(excess(64), abs=4 * error[64])


def excess(draws):
    """E[-log(w_bar / p(x))] to the order 1/k^2, from the moments of the weights, which have a closed form here.

    The weight relative to the evidence is N(z; m, s^2) / N(z; m, (a s)^2) in each of two dimensions, whose p-th moment
    is a^p (1 + p (a^2 - 1))^(-1/2). With R = w_bar - 1: -log(1 + R) = -R + R^2/2 - R^3/3 + R^4/4 - ...
    """
    moment = [WIDEN ** (2 * p) / (1 + p * (WIDEN**2 - 1)) for p in range(5)]
    second = moment[2] - 1
    third = moment[3] - 3 * moment[2] + 2
    return second / (2 * draws) - third / (3 * draws**2) + 3 * second**2 / (4 * draws**2)


@pytest.mark.parametrize("draws", [1, 2, 7])
def test_with_the_exact_posterior_every_draw_gives_the_evidence(draws):
    built = linear_gaussian()
    for training in (False, True):
        loss, _ = gradients_of(IWAE(draws=draws), built, training=training)
        if draws > 1:  # a single draw has the rate in closed form, so that it still depends on the draw
            np.testing.assert_allclose(loss.metrics["iwae_bound"], log_evidence(X), atol=1e-4)  # float32
            np.testing.assert_allclose(loss.metrics["effective_draws"], np.full(len(X), draws), rtol=1e-4)


def test_the_bound_is_that_of_the_weights_at_its_own_draws_in_float64(widened):
    forward = ForwardPass(widened.model, tf.constant(X), context())
    loss = IWAE(draws=6).model_loss(forward, forward.context)
    z = forward.repeated(6, forward.context).latent.value.numpy().reshape(6, len(X), 2).astype(np.float64)
    log_prior = -(z**2).sum(axis=-1) / 2 - np.log(2 * np.pi)
    noise = (z - posterior_mean(X)) / (WIDEN * SCALE)
    log_posterior = -(noise**2).sum(axis=-1) / 2 - np.log(2 * np.pi) - 2 * np.log(WIDEN * SCALE)
    likelihood, rate = np.stack([log_likelihood(X, each) for each in z]), log_posterior - log_prior
    weights = likelihood - rate
    expected = {
        "iwae_bound": logsumexp(weights, axis=0) - np.log(6),
        "effective_draws": np.exp(2 * logsumexp(weights, axis=0) - logsumexp(2 * weights, axis=0)),  # Kish 1965
        "reconstruction": likelihood.mean(axis=0),
        "rate": rate.mean(axis=0),
        "elbo": weights.mean(axis=0),
    }
    assert set(loss.metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(loss.metrics[name], value, rtol=1e-4, atol=1e-4, err_msg=name)  # float32
    np.testing.assert_array_equal(loss.value, -loss.metrics["iwae_bound"])


def test_exact_codes_have_the_weights_of_their_probabilities():
    built = points_experiment(posterior=codes(), prior=AggregatedPosterior(num_components=5)).build()
    forward = ForwardPass(built.model, tf.constant(normal_rows(20)), context())
    found = IWAE(draws=4).model_loss(forward, forward.context).metrics["iwae_bound"]
    value = tf.reshape(forward.repeated(4, forward.context).latent.value, [4, 20, 2])
    likelihood = built.model.decode(built.model.embed(value), context()).log_prob(forward.x)
    log_prior = tf.stack([forward.prior.log_prob(draw) for draw in value])
    weights = likelihood + log_prior - forward.latent.distribution.log_prob(value)
    np.testing.assert_allclose(found, logsumexp(weights, axis=0) - np.log(4), rtol=1e-5)  # float32


# ---- the gradients


class SharedScale(GaussianPosterior):
    """A posterior with a weight of its own: a factor on every scale."""

    def build(self, context):
        import keras

        super().build(context)
        self.factor = keras.Variable(1.3, name="factor")

    def distribution(self, features, context):
        q = super().distribution(features, context).distribution
        return tfd.Independent(tfd.Normal(q.loc, self.factor.value * q.scale), 1)


def sampled_gradients(built, objective, count, x):
    """Independent draws of the gradient, `[count, size]`, of the encoder and posterior and of all other weights."""
    variables = {path: raw(variable) for path, variable in built.players[-1].variables.items()}
    inference = [path.startswith(("encoder", "posterior")) for path in variables]

    @tf.function(jit_compile=True)
    def sample(number):
        with tf.GradientTape() as tape:
            forward = ForwardPass(built.model, tf.constant(x), context(step=number, training=True))
            loss = tf.reduce_mean(objective.model_loss(forward, forward.context).value)
        parts = tape.gradient(loss, list(variables.values()), unconnected_gradients="zero")
        flat = [tf.reshape(part, [-1]) for part in parts]
        return [tf.concat([part for part, at in zip(flat, inference, strict=True) if at == side], 0) for side in (1, 0)]

    pairs = [sample(tf.constant(number)) for number in range(count)]
    return tuple(np.stack(side).astype(np.float64) for side in zip(*pairs, strict=True))


@pytest.fixture(scope="module", params=["gaussian", "posterior with a weight of its own"])
def both_gradients(request, widened):
    built = widened if request.param == "gaussian" else points_experiment(posterior=SharedScale()).build()
    x = X[:8] if request.param == "gaussian" else normal_rows(8)
    return [
        sampled_gradients(built, IWAE(draws=5, doubly_reparameterized=doubly), 3_000, x) for doubly in (False, True)
    ]


@pytest.mark.slow
def test_the_doubly_reparameterised_gradient_has_the_mean_of_the_plain_one(both_gradients):
    (plain, _), (doubly, _) = both_gradients
    error = np.sqrt((plain.var(axis=0) + doubly.var(axis=0)) / len(plain))
    # at most 17 numbers within four and a half standard errors: once in 8,000 for other seeds
    assert (np.abs(plain.mean(axis=0) - doubly.mean(axis=0)) <= 4.5 * error).all()
    assert (np.abs(plain.mean(axis=0)) > 4.5 * error).any()  # the mean is not hidden by its error


@pytest.mark.slow
def test_the_gradient_of_decoder_and_prior_is_the_same_in_both(both_gradients):
    (_, plain), (_, doubly) = both_gradients
    np.testing.assert_allclose(doubly[:50], plain[:50], rtol=1e-3, atol=1e-4)  # float32, two programs


def test_at_the_exact_posterior_the_doubly_reparameterised_gradient_vanishes():
    """Each log w_i is constant in z_i; the plain gradient is not 0, since log q depends on the weights directly."""
    built = linear_gaussian()
    for doubly in (False, True):
        _, gradients = gradients_of(IWAE(draws=4, doubly_reparameterized=doubly), built)
        encoder = np.concatenate([np.ravel(g) for path, g in gradients.items() if path.startswith("encoder")])
        assert (np.abs(encoder).max() < 1e-4) == doubly  # float32


def test_the_values_are_the_same_with_both_gradients(widened):
    plain, doubly = (gradients_of(IWAE(draws=5, doubly_reparameterized=d), widened)[0] for d in (False, True))
    np.testing.assert_allclose(doubly.value, plain.value, rtol=1e-6)
    for name in plain.metrics:
        np.testing.assert_allclose(doubly.metrics[name], plain.metrics[name], rtol=1e-5, err_msg=name)


def test_relaxed_codes_pass_the_gradient_of_both_densities_to_the_encoder():
    built = points_experiment(posterior=codes(), prior=AggregatedPosterior(num_components=5)).build()
    _, gradients = gradients_of(IWAE(draws=3), built, x=normal_rows(20))
    assert all(np.abs(gradient).max() > 0 for gradient in gradients.values())


# ---- the signal-to-noise ratio


def test_the_ratio_is_that_of_norms_without_the_bias_of_the_squared_mean():
    random = np.random.RandomState(0)
    signal = np.array([0.3, -0.1, 0.0, 0.2])
    ratios = []
    for _ in range(300):
        gradients = (signal + random.randn(16, 4)).astype(np.float32)
        mean, noise = gradients.mean(axis=0), gradients.var(axis=0, ddof=1).sum()
        expected = max(0, mean @ mean - noise / 16) / noise
        found = float(signal_to_noise(tf.constant(gradients)))
        assert found == pytest.approx(np.sqrt(expected), rel=1e-4, abs=1e-4)  # float32
        ratios.append((mean @ mean - noise / 16) / 4)
    error = np.std(ratios) / np.sqrt(300)
    assert abs(np.mean(ratios) - signal @ signal / 4) < 4 * error  # of N(signal, I) in R^4
    assert float(signal_to_noise(tf.zeros([5, 3]))) == 0


@pytest.mark.slow
def test_the_ratio_falls_with_the_draws_as_in_theory_unless_the_gradient_is_doubly_reparameterised(widened):
    """From 4 to 64 draws: as 1/sqrt(k) (Rainforth et al. 2018), and as sqrt(k) (Tucker et al. 2019)."""

    def ratio(draws, doubly):
        objective = IWAE(draws=draws, doubly_reparameterized=doubly)
        return float(signal_to_noise(tf.constant(sampled_gradients(widened, objective, 3_000, X)[0])))

    plain, doubly = ([ratio(draws, kind) for draws in (4, 64)] for kind in (False, True))
    assert doubly[0] > plain[0]
    for larger, smaller in ((plain[0], plain[1]), (doubly[1], doubly[0])):
        assert larger / smaller == pytest.approx(4, rel=0.3)  # to the leading order in 1/k; k = 4 is not large


def test_estimates_are_the_bound_and_the_ratio_and_only_the_bound_without_noise(widened):
    forward = ForwardPass(widened.model, tf.constant(X), context())
    found = IWAE(draws=2).estimates(forward, forward.context)
    assert set(found) == {"iwae_estimate", "gradient_snr"}
    expected = IWAE(draws=2).model_loss(forward, forward.context).metrics["iwae_bound"]
    np.testing.assert_allclose(found["iwae_estimate"], np.mean(expected), rtol=1e-6)  # float32
    quantised = points_experiment(posterior=VQ(positions=(2,), num_codes=4)).build()
    forward = ForwardPass(quantised.model, tf.constant(normal_rows(20)), context())
    assert set(IWAE().estimates(forward, forward.context)) == {"iwae_estimate"}


# ---- beside other parts


class Committed(GaussianPosterior):
    """A random posterior with a loss and a statistic."""

    def __call__(self, features, context):
        latent = super().__call__(features, context)
        context.collect(self, count=Summed(tf.cast(tf.shape(features)[0], tf.float32)))
        return dataclasses.replace(latent, losses={"commitment": tf.reduce_sum(tf.square(features), axis=1)})


@pytest.mark.parametrize("posterior", [Committed(), VQ(positions=(2,), num_codes=4)], ids=["random", "quantised"])
def test_losses_and_statistics_of_the_posterior_count_once_whatever_the_draws(posterior):
    objective, collector = IWAE(draws=4), Collector()
    built = points_experiment(posterior=posterior, objectives=[objective]).build()
    now = context(training=True, index=tf.range(20), collector=collector)
    forward = ForwardPass(built.model, tf.constant(normal_rows(20)), now)
    total = make_players(built.model, built.experiment.objectives, None, None)[-1].loss(forward)
    term = objective.model_loss(forward, forward.context.within("iwae"))
    commitment = forward.latent.losses["commitment"]
    assert np.abs(commitment).max() > 0
    np.testing.assert_allclose(total.value, term.value + commitment, rtol=1e-6)  # float32
    np.testing.assert_array_equal(total.metrics["commitment"], commitment)
    (counts,) = collector.statistics.values()  # of the posterior, or of its codebook
    assert float(tf.reduce_sum((counts.get("count") or counts["counts"]).tensor)) == (20 if "count" in counts else 40)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts, settings",
    [
        ({}, {"doubly_reparameterized": True}),
        ({"posterior": codes(), "prior": Autoregressive(width=8, layers=1)}, {}),
        ({"prior": AggregatedPosterior(components="exact", leave_one_out=True)}, {}),
    ],
    ids=["doubly reparameterised", "relaxed codes", "exact prior"],
)
def test_it_trains_and_validation_has_its_bound(tmp_path, parts, settings):
    objectives = [IWAE(draws=3, **settings)]
    experiment = points_experiment(objectives=objectives, steps=60, validate_every=60, **parts)
    experiment.splits["validation"] = experiment.splits["test"]
    assert Trainer(experiment.build(), tmp_path, silent).train().step == 60
    lines = read_lines(tmp_path / "metrics.jsonl")
    first, last = lines[0], lines[-1]
    assert last["iwae_bound"] > first["iwae_bound"] + 0.1  # means over ten steps
    assert 1 < last["effective_draws"] < 3
    assert last["validation_iwae_estimate"] > last["validation_elbo"]
    assert last["validation_gradient_snr"] >= 0


# ---- what is refused


class Mixture(GaussianPosterior):
    """A posterior whose draws are not reparameterised."""

    def distribution(self, features, context):
        q = super().distribution(features, context)
        weights = tfd.Categorical(logits=tf.zeros([features.shape[0], 1]))
        parts = tfd.Independent(tfd.Normal(q.distribution.loc[:, None], q.distribution.scale[:, None]), 1)
        return tfd.MixtureSameFamily(weights, parts)

    def __call__(self, features, context):
        q = self.distribution(features, context)
        z = q.sample(seed=context.seed_for("z"))
        return Latent(q, value=z, z=z)


@pytest.mark.parametrize(
    "posterior, reason",
    [
        (codes(), "its draws are codes"),
        (VQ(positions=(2,), num_codes=4), "its draws are codes"),
        (Mixture(), "MixtureSameFamily has no such draws"),
    ],
    ids=["relaxed", "quantised", "mixture"],
)
def test_the_doubly_reparameterised_gradient_is_refused_without_reparameterised_draws(posterior, reason):
    objective = IWAE(doubly_reparameterized=True)

    def run():
        built = points_experiment(posterior=posterior, objectives=[objective]).build()
        gradients_of(objective, built, x=normal_rows(20))

    refused(run, IWAE.display_name(), "doubly_reparameterized requires a posterior whose draws are", reason)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"draws": 2.5}, "draws must be int, got 2.5"),
        ({"weight": 0.0}, "weight must be positive, got 0"),
    ],
    ids=str,
)
def test_bad_values_are_refused(settings, expected):
    refused(lambda: IWAE(**settings), IWAE.display_name(), expected)


def test_without_a_posterior_it_is_refused():
    expected = f"{IWAE.display_name()} needs a posterior"
    refused(lambda: points_experiment(objectives=[IWAE()], posterior=None, encoder=None), expected)


def test_an_encoder_without_weights_has_no_ratio():
    class Frozen(MLP):
        def build(self, input_shape, output_shape, context):
            super().build(input_shape, output_shape, context)
            for layer in self.layers:
                layer.trainable = False

    built = points_experiment(encoder=Frozen(hidden=())).build()
    forward = ForwardPass(built.model, tf.constant(normal_rows(20)), context())
    assert set(IWAE().estimates(forward, forward.context)) == {"iwae_estimate"}
