"""The Jensen-Shannon objective: values, losses, penalties and noise against their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import jensenshannon
from scipy.special import expit
from small import command, context, gan_experiment, points_experiment
from small_critics import (
    affine_objective,
    critic_gradients,
    finite_differences,
    gan_pass,
    identity,
    one_step,
    refused,
    rows,
    softplus,
    tanh_objective,
    tanh_scores,
    weights_of,
)
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_objectives.fgan import FGAN
from tfdgm_objectives.hinge import Hinge
from tfdgm_objectives.jsd import JSD, game_value
from tfdgm_objectives.wasserstein import Wasserstein
from tfdgm_priors.maf import MAF

from tfdgm import UserError
from tfdgm.model.forward_pass import ForwardPass

LN2 = np.log(2)
KINDS = [JSD, Wasserstein, Hinge, FGAN]


def jsd(**settings):
    return JSD(network=MLP(hidden=()), **settings)


def logits(*shape, seed=0):
    return np.random.RandomState(seed).uniform(-8, 8, shape)


def column(values):
    return tf.constant(np.asarray(values)[:, None])


def critic_loss(objective, real, *fakes):
    """Of logits `[batch]`."""
    return objective.critic_loss(identity, column(real), [column(fake) for fake in fakes], context())


def generator_loss(objective, real, *fakes):
    return objective.generator_loss(identity, column(real), [column(fake) for fake in fakes]).numpy()


def test_the_value_from_logits_is_that_of_probabilities():
    real, fakes = logits(50), logits(2, 50, seed=1)
    expected = np.log(expit(real)) + np.log(1 - expit(fakes)).mean(axis=0)
    found = game_value(tf.constant(real), tf.constant(fakes), False)
    np.testing.assert_allclose(found, expected, rtol=1e-11)  # float64, and 1 - D loses four digits at a logit of 8


def test_the_relativistic_value_is_that_of_probabilities_of_pairs():
    real, fakes = logits(50), logits(2, 50, seed=1)
    expected = (np.log(expit(real - fakes)) + np.log(1 - expit(fakes - real))).mean(axis=0)
    found = game_value(tf.constant(real), tf.constant(fakes), True)
    np.testing.assert_allclose(found, expected, rtol=1e-8)  # float64, and 1 - D loses seven digits at a logit of 16


def test_the_critic_minimises_minus_the_value_and_logs_it_with_its_bound_and_the_discriminator():
    real, fakes = logits(50), logits(2, 50, seed=1)
    loss = critic_loss(jsd(), real, *fakes)
    value = game_value(tf.constant(real), tf.constant(fakes), False).numpy()
    expected = {
        "value": value,
        "jsd_bound": (value + 2 * LN2) / 2,
        "discriminator_real": expit(real),
        "discriminator_fake": expit(fakes),
    }
    assert set(loss.metrics) == set(expected)
    np.testing.assert_allclose(loss.value, -value, rtol=1e-12)  # float64, here and below
    for name, target in expected.items():
        np.testing.assert_allclose(loss.metrics[name], target, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("logit", [20.0, 200.0, 1e4])
@pytest.mark.parametrize("relativistic", [False, True])
def test_an_utterly_wrong_critic_has_a_finite_loss_that_still_pulls(relativistic, logit):
    """Logarithms of clamped probabilities stick at -log(1e-6) = 13.8155, where their gradient is 0."""
    objective = jsd(relativistic=relativistic)
    real, fake = tf.fill([4, 1], -logit), tf.fill([4, 1], logit)
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss = objective.critic_loss(identity, real, [fake], context()).value
    # softplus(20) - 20 = 2e-9 is below float32's rounding
    np.testing.assert_allclose(loss, 2 * logit if not relativistic else 4 * logit, rtol=1e-6)
    pull = 2.0 if relativistic else 1.0
    of_real, of_fake = tape.gradient(loss, [real, fake])
    np.testing.assert_allclose(of_real, np.full([4, 1], -pull), rtol=1e-6)
    np.testing.assert_allclose(of_fake, np.full([4, 1], pull), rtol=1e-6)


@pytest.mark.parametrize("logit", [20.0, 200.0, 1e4])
@pytest.mark.parametrize("relativistic", [False, True])
def test_samples_that_fool_no_critic_have_a_finite_loss_that_still_pulls(relativistic, logit):
    objective = jsd(relativistic=relativistic)
    real, fake = tf.zeros([4, 1]), tf.fill([4, 1], -logit)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        loss = objective.generator_loss(identity, real, [fake])
    np.testing.assert_allclose(loss, np.full(4, logit), rtol=1e-6)  # as above
    np.testing.assert_allclose(tape.gradient(loss, fake), np.full([4, 1], -1.0), rtol=1e-6)


#: Numbers of samples at six points; as distributions they have zeros, ties, and one point that is the real one's alone.
REAL, FAKE = np.array([1, 2, 5, 0, 6, 2]), np.array([4, 3, 5, 2, 0, 2])


def optimal_logits(real, fake):
    """log p/q, with numbers for the infinities at which float64's sigmoid is exactly 0 and 1."""
    with np.errstate(divide="ignore"):
        return np.clip(np.log(real / real.sum()) - np.log(fake / fake.sum()), -800, 800)


def mean_loss(scores, real, fake):
    """The critic's loss on samples that are distributed exactly as the counts say."""
    per_point = 16 * 16  # both sides need as many samples
    at = [np.repeat(np.arange(6), counts * per_point // counts.sum()) for counts in (real, fake)]
    loss = critic_loss(jsd(), scores[at[0]], scores[at[1]])
    return {name: float(tf.reduce_mean(metric)) for name, metric in loss.metrics.items()}


def test_at_the_best_discriminator_the_value_is_2_jsd_less_2_log_2():
    assert REAL.sum() == FAKE.sum() == 16
    divergence = jensenshannon(REAL, FAKE) ** 2
    assert 0.1 < divergence < LN2 - 0.1  # neither end, where other formulas would agree
    best = mean_loss(optimal_logits(REAL, FAKE), REAL, FAKE)
    assert best["value"] == pytest.approx(2 * divergence - 2 * LN2, abs=1e-12)  # sums of float64
    assert best["jsd_bound"] == pytest.approx(divergence, abs=1e-12)


def test_any_other_discriminator_gives_a_lower_bound():
    random, best = np.random.RandomState(0), optimal_logits(REAL, FAKE)
    divergence = jensenshannon(REAL, FAKE) ** 2
    for size in (0.01, 0.3, 3.0):
        for _ in range(20):
            other = np.clip(best, -30, 30) + size * random.randn(6)
            assert mean_loss(other, REAL, FAKE)["jsd_bound"] < divergence


def test_where_the_sides_are_equal_the_value_is_minus_2_log_2():
    assert mean_loss(np.zeros(6), FAKE, FAKE)["value"] == pytest.approx(-2 * LN2, abs=1e-12)


def test_where_the_sides_have_no_point_in_common_the_bound_is_log_2():
    real, fake = np.array([8, 8, 0, 0, 0, 0]), np.array([0, 0, 4, 4, 4, 4])
    assert mean_loss(optimal_logits(real, fake), real, fake)["jsd_bound"] == pytest.approx(LN2, abs=1e-12)


LOSSES = {
    "non_saturating": lambda real, fake: -np.log(expit(fake)),
    "saturating": lambda real, fake: np.log(1 - expit(fake)),
    "relativistic": lambda real, fake: -np.log(expit(fake - real)),
}
#: What the model minimises of the real side in latent space, where it is the prior's.
REAL_LOSSES = {
    "non_saturating": lambda real: -np.log(1 - expit(real)),
    "saturating": lambda real: np.log(expit(real)),
    "relativistic": lambda real: 0.0,  # the pairs have it already
}


def variant(name):
    return {"relativistic": True} if name == "relativistic" else {"generator": name}


@pytest.mark.parametrize("name", LOSSES)
def test_the_models_loss_is_its_definition_averaged_over_both_kinds_of_fakes(name):
    real, fakes = logits(40), logits(2, 40, seed=1)
    expected = np.mean([LOSSES[name](real, fake) for fake in fakes], axis=0)
    # float64, and 1 - D loses up to seven digits
    np.testing.assert_allclose(generator_loss(jsd(**variant(name)), real, *fakes), expected, rtol=1e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_in_latent_space_the_model_also_moves_the_real_side(name):
    real, fake = logits(40), logits(40, seed=1)
    objective = jsd(space="latent", **variant(name))
    expected = LOSSES[name](real, fake) + REAL_LOSSES[name](real)
    np.testing.assert_allclose(generator_loss(objective, real, fake), expected, rtol=1e-8)  # as above


def test_the_saturating_loss_is_the_fake_part_of_the_value():
    fake = logits(40)
    found = generator_loss(jsd(generator="saturating"), np.zeros(40), fake)
    value = game_value(tf.zeros(40, tf.float64), tf.constant(fake[None]), False)
    np.testing.assert_allclose(found, value + LN2, rtol=1e-10)  # float64


@pytest.mark.parametrize("smoothing", [0.1, 0.4])
def test_label_smoothing_is_the_cross_entropy_with_smoothed_targets(smoothing):
    real, fake = logits(40), logits(40, seed=1)
    probability = expit(real)
    expected = -(1 - smoothing) * np.log(probability) - smoothing * np.log(1 - probability) - np.log(1 - expit(fake))
    loss = critic_loss(jsd(label_smoothing=smoothing), real, fake)
    np.testing.assert_allclose(loss.value, expected, rtol=1e-9)  # float64, and 1 - D loses four digits
    np.testing.assert_allclose(loss.metrics["value"], critic_loss(jsd(), real, fake).metrics["value"], rtol=1e-12)


def penalised(weights, r1, r2, relativistic):
    """The critic's mean loss with both penalties, in float64; fakes of two kinds."""
    (real, at_real), *fakes = (tanh_scores(weights, x.astype(np.float64)) for x in SIDES)
    if relativistic:
        loss = np.mean([2 * softplus(fake - real) for fake, _ in fakes])
    else:
        loss = np.mean(softplus(-real)) + np.mean([softplus(fake) for fake, _ in fakes])
    slopes = [np.square(gradient).sum(axis=1).mean() for gradient in (at_real, *(g for _, g in fakes))]
    return loss + r1 / 2 * slopes[0] + r2 / 2 * np.mean(slopes[1:])


SIDES = [rows(12, seed=0), rows(12, seed=1, shift=1.0), rows(12, seed=2, shift=-0.5)]


@pytest.mark.parametrize("relativistic", [False, True])
@pytest.mark.parametrize("r1, r2", [(3.0, 0.0), (0.0, 2.0), (3.0, 2.0)])
def test_penalties_and_their_gradients_are_those_of_half_the_mean_squared_slope(r1, r2, relativistic):
    objective = tanh_objective(JSD, r1=r1, r2=r2, relativistic=relativistic)
    weights = weights_of(objective.critic)
    loss, gradients = critic_gradients(objective, SIDES[0], SIDES[1:])
    plain = penalised(weights, 0, 0, relativistic)
    expected = penalised(weights, r1, r2, relativistic)
    assert abs(expected - plain) > 0.5  # else a penalty of 0 would do
    np.testing.assert_allclose(tf.reduce_mean(loss.value), expected, rtol=1e-5)  # float32
    by_hand = finite_differences(lambda moved: penalised(moved, r1, r2, relativistic), weights)
    for found, target in zip(gradients, by_hand, strict=True):
        np.testing.assert_allclose(found, target, rtol=1e-4, atol=1e-5)  # second derivatives in float32


def test_the_slopes_are_logged():
    objective = tanh_objective(JSD, r1=1.0)
    loss, _ = critic_gradients(objective, SIDES[0], SIDES[1:2])
    for name, x in (("slope_real", SIDES[0]), ("slope_fake", SIDES[1])):
        expected = np.linalg.norm(tanh_scores(weights_of(objective.critic), x)[1], axis=1)
        np.testing.assert_allclose(loss.metrics[name], expected, rtol=1e-5)  # float32


def fading(initial):
    """Return a linear schedule from `initial` at step 0 to 0 at step 10."""
    return keras.optimizers.schedules.PolynomialDecay(initial, 10, 0.0)


@pytest.mark.parametrize("step, share", [(0, 1.0), (5, 0.5), (10, 0.0), (99, 0.0)])
def test_the_weights_of_the_penalties_follow_their_schedules(step, share):
    objective = tanh_objective(JSD, r1=fading(4.0), r2=fading(2.0))
    loss, _ = critic_gradients(objective, SIDES[0], SIDES[1:], step)
    expected = penalised(weights_of(objective.critic), 4.0 * share, 2.0 * share, False)
    np.testing.assert_allclose(tf.reduce_mean(loss.value), expected, rtol=1e-5)  # float32


@pytest.mark.parametrize("step, deviation", [(0, 0.6), (5, 0.3), (10, 0.0)])
def test_the_noise_follows_its_schedule(step, deviation):
    objective = jsd(instance_noise=fading(0.6))
    found = objective.prepared(tf.zeros([4_000, 2]), context(step=step), "0").numpy()
    error = deviation / np.sqrt(2 * 8_000)
    assert abs(found.std() - deviation) <= 5 * error  # five standard errors; exactly 0 at the end


def test_the_noise_is_standard_normal_times_its_deviation_and_apart_for_real_and_fake():
    objective, zeros = jsd(instance_noise=0.3), tf.zeros([4_000, 2])
    sides = [objective.prepared(zeros, context(), which).numpy() / 0.3 for which in ("0", "1", "2")]
    for noise in sides:
        # moments of 8,000 draws within five standard errors
        assert abs(noise.mean()) < 5 / np.sqrt(8_000)
        assert abs((noise**2).mean() - 1) < 5 * np.sqrt(2 / 8_000)
        assert abs((noise**4).mean() - 3) < 5 * np.sqrt(96 / 8_000)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert abs((sides[first] * sides[second]).mean()) < 5 / np.sqrt(8_000)
    assert abs((sides[0][:, 0] * sides[0][:, 1]).mean()) < 5 / np.sqrt(4_000)


def test_the_noise_is_another_at_another_step_and_the_same_at_the_same():
    objective, zeros = jsd(instance_noise=0.3), tf.zeros([5, 2])
    first, again, other = (objective.prepared(zeros, context(step=step), "0").numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_without_noise_the_critic_sees_the_samples_as_they_are():
    x = tf.constant(SIDES[0])
    assert jsd().prepared(x, context(), "0") is x


def test_both_players_see_samples_with_noise():
    built = gan_experiment(objectives=[jsd(instance_noise=0.5)]).build()
    objective = built.experiment.objectives["jsd"]
    seen = []
    network = objective.critic.network
    objective.critic.network = lambda x, context: seen.append(x.numpy()) or network(x, context)
    forward = forward_of(built)
    objective.adversary_loss(forward, context())
    objective.model_loss(forward, context())
    clean = np.concatenate([forward.x, forward.generated])
    deviation = (seen[0] - clean).std()
    assert abs(deviation - 0.5) < 5 * 0.5 / np.sqrt(2 * clean.size)  # five standard errors
    deviation = (seen[1] - forward.generated.numpy()).std()
    assert abs(deviation - 0.5) < 5 * 0.5 / np.sqrt(clean.size)


def forward_of(built):
    x = tf.constant(built.experiment.train.gather(np.arange(built.experiment.batch_size)))
    return ForwardPass(built.model, x, context(training=True))


def test_with_packing_the_critic_gives_one_score_a_pack_and_the_loss_keeps_its_mean():
    slope = np.array([1.0, -2.0, 0.5, 3.0, 0.2, -1.0])
    objective = affine_objective(JSD, slope, packing=3)
    real, fake = rows(12, 2), rows(12, 2, seed=1)
    forward = gan_pass(real, fake)
    scores = [x.reshape(4, 6).astype(np.float64) @ slope for x in (real, fake)]
    expected = softplus(-scores[0]) + softplus(scores[1])
    loss = objective.adversary_loss(forward, context())
    assert loss.value.shape == (12,) and loss.metrics["value"].shape == (4,)
    np.testing.assert_allclose(loss.metrics["value"], -expected, rtol=1e-5)  # float32
    np.testing.assert_allclose(tf.reduce_mean(loss.value), expected.mean(), rtol=1e-5)
    model_loss = objective.model_loss(forward, context())
    assert model_loss.value.shape == (12,)
    np.testing.assert_allclose(tf.reduce_mean(model_loss.value), softplus(-scores[1]).mean(), rtol=1e-5)


def test_estimates_drop_examples_of_an_incomplete_pack():
    objective = affine_objective(JSD, np.ones(6), packing=3)
    real, fake = rows(11, 2), rows(11, 2, seed=1)
    found, expected = (objective.estimates(gan_pass(real[:n], fake[:n]), context()) for n in (11, 9))
    assert set(found) == {"jsd_estimate", "critic_slope", "critic_lipschitz"}
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("kind", KINDS)
def test_examples_too_few_for_one_pack_estimate_nothing(kind):
    objective = affine_objective(kind, np.ones(6), packing=3)
    assert objective.estimates(gan_pass(rows(2, 2), rows(2, 2, seed=1)), context()) == {}


def test_estimates_are_the_bound_and_the_mean_and_largest_slope():
    objective = tanh_objective(JSD)
    (real, at_real), (fake, at_fake) = (tanh_scores(weights_of(objective.critic), x) for x in SIDES[:2])
    slopes = np.linalg.norm(np.concatenate([at_real, at_fake]), axis=1)
    expected = {
        "jsd_estimate": (-softplus(-real) - softplus(fake)).mean() / 2 + LN2,
        "critic_slope": slopes.mean(),
        "critic_lipschitz": slopes.max(),
    }
    found = objective.estimates(gan_pass(*SIDES[:2]), context())
    assert set(found) == set(expected)
    for name, target in expected.items():
        np.testing.assert_allclose(found[name], target, rtol=1e-5, atol=1e-6, err_msg=name)  # float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"moves": 0}, ["moves must be at least 1, got 0"]),
        ({"weight": 0.0}, ["weight must be positive, got 0"]),
        ({"weight": -1.0}, ["weight must be positive, got -1"]),
        ({"packing": 0}, ["packing must be at least 1, got 0"]),
        ({"unrolling": -1}, ["unrolling must not be negative, got -1"]),
        ({"unrolling_rate": 0.0}, ["unrolling_rate must be positive"]),
        ({"unrolling_rate": 0.1}, ["unrolling_rate has no effect with unrolling = 0"]),
        ({"space": "latent", "fakes": "prior"}, ["fakes has no effect in latent space"]),
        ({"space": "lattent"}, ["space must be 'data' or 'latent', got 'lattent'"]),
        ({"fakes": "all"}, ["fakes must be 'prior' or 'reconstructions' or 'both'"]),
        ({"moves": 1.5}, ["moves must be int, got 1.5"]),
        ({"networks": 1}, ["unexpected keyword argument 'networks'"]),
    ],
    ids=str,
)
def test_bad_values_of_every_adversarial_objective_are_refused(kind, settings, expected):
    refused(lambda: kind(network=MLP(hidden=()), **settings), kind.display_name(), *expected)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"label_smoothing": 0.5}, "label_smoothing must be in [0, 0.5), got 0.5"),
        ({"label_smoothing": -0.1}, "label_smoothing must be in [0, 0.5), got -0.1"),
        ({"label_smoothing": 0.1, "relativistic": True}, "label_smoothing is not defined for relativistic pairs"),
        ({"generator": "saturating", "relativistic": True}, "'saturating' is not defined for relativistic pairs"),
        ({"generator": "saturated"}, "generator must be 'non_saturating' or 'saturating'"),
        ({"instance_noise": -0.1}, "instance_noise must not be negative, got -0.1"),
        ({"r1": -1.0}, "r1 must not be negative, got -1"),
        ({"r2": -1}, "r2 must not be negative, got -1"),
        ({"r1": "often"}, "r1 must be float or LearningRateSchedule, got 'often'"),
    ],
    ids=str,
)
def test_bad_values_are_refused(settings, expected):
    refused(lambda: jsd(**settings), JSD.display_name(), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings, setting",
    [
        ({"space": "latent"}, "space = 'latent'"),
        ({"adaptive_weight": True}, "adaptive_weight"),
        ({"fakes": "reconstructions"}, "fakes = 'reconstructions'"),
        ({"fakes": "both"}, "fakes = 'both'"),
    ],
    ids=str,
)
def test_without_a_posterior_a_setting_that_needs_one_is_refused_by_name(kind, settings, setting):
    expected = f"{kind.display_name()} needs a posterior for {setting}, but experiment.posterior is None"
    refused(lambda: gan_experiment(objectives=[kind(network=MLP(hidden=()), **settings)]), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"fakes": "prior"}, "no objective trains the encoder"),
        ({"space": "latent"}, "no objective trains the decoder"),
    ],
    ids=str,
)
def test_objectives_that_leave_a_network_without_a_loss_are_refused_by_its_name(kind, settings, expected):
    objective = kind(network=MLP(hidden=()), **settings)
    refused(lambda: points_experiment(objectives=[objective]), expected)
    points_experiment(objectives=[objective, ELBO()])  # which trains it


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_that_no_loss_reaches_is_refused_by_its_name(kind):
    objectives = [ELBO(beta=0.0), kind(network=MLP(hidden=()), moves=1, fakes="reconstructions")]
    built = points_experiment(objectives=objectives, prior=MAF(num_bijectors=1, hidden=(4,))).build()
    with pytest.raises(UserError, match="no loss of the player 'model' reaches prior/networks/0"):
        one_step(built)


@pytest.mark.parametrize("batch, shards", [(20, 1), (24, 4)])
def test_a_batch_or_shard_that_packs_do_not_fill_is_refused(batch, shards):
    objective = jsd(packing=4 if shards > 1 else 3)
    built = gan_experiment(objectives=[objective], batch_size=batch, shards=shards).build()
    expected = f"a batch of {batch // shards} examples cannot be divided into packs of {objective.packing}"
    with pytest.raises(UserError, match=expected):
        one_step(built, shards=shards)


@pytest.mark.parametrize(
    "bindings, expected",
    [
        ("moves = 0", "objective.jsd: moves must be at least 1"),
        ("space = 'latent'", "objective.jsd needs a posterior for space = 'latent'"),
        ("space = 'data'\nobjective.jsd.adaptive_weight = True", "objective.jsd needs a posterior for adaptive_weight"),
        ("pakcing = 2", "Did you mean 'packing'"),
    ],
)
def test_on_the_command_line_a_mistake_is_one_message_and_code_2(tmp_path, monkeypatch, capsys, bindings, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gan.gin").write_text(
        "experiment.data = @data.digits()\nexperiment.prior = @prior.gaussian()\n"
        "experiment.likelihood = @likelihood.bernoulli()\nexperiment.decoder = @decoder/network.mlp()\n"
        "experiment.objectives = [@objective.jsd()]\nobjective.jsd.network = @critic/network.mlp()\n"
        f"objective.jsd.{bindings}\n"
    )
    assert command("train", "--workdir=run", "--gin_file=gan.gin") == 2
    error = capsys.readouterr().err
    assert expected in error and "Traceback" not in error
    assert not (tmp_path / "run").exists()
