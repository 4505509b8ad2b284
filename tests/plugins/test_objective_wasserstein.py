"""The Wasserstein objective: dual, penalties, clipping and spectral norms against their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import Points, context, gan_experiment, normal_rows, silent
from small_critics import (
    affine_objective,
    critic_gradients,
    finite_differences,
    gan_pass,
    identity,
    one_step,
    refused,
    rows,
    tanh_objective,
    tanh_scores,
    weights_of,
)
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.adversarial import slopes_between
from tfdgm_objectives.wasserstein import Wasserstein

from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.component import raw
from tfdgm.parallel.devices import Devices
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer

LIPSCHITZ = ("gradient_penalty", "clipping", "spectral_normalization")
#: Three slopes: below, at and above what a 1-Lipschitz critic may have.
SLOPES = {0.5: [0.3, -0.4], 1.0: [0.6, 0.8], 3.0: [1.0, 2.0, -2.0]}


def wasserstein(**settings):
    return Wasserstein(network=MLP(hidden=()), **settings)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("slope", SLOPES)
def test_the_penalty_of_an_affine_critic_is_that_of_its_slope(slope, two_sided):
    objective = affine_objective(Wasserstein, SLOPES[slope], 0.7, penalty=7.0, two_sided=two_sided)
    size = len(SLOPES[slope])
    real, fakes = rows(12, size), [rows(12, size, seed=1), rows(12, size, seed=2)]
    loss, _ = critic_gradients(objective, real, fakes)
    excess = slope - 1 if two_sided else max(slope - 1, 0)
    dual = real @ SLOPES[slope] - np.mean([fake @ SLOPES[slope] for fake in fakes], axis=0)
    # float32; a slope of 1 is right to 1e-7, which the square of the excess makes nothing of
    np.testing.assert_allclose(loss.metrics["gradient_penalty"], np.full(12, 7 * excess**2), rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(loss.metrics["dual"], dual, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss.value, 7 * excess**2 - dual, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss.metrics["slope"], np.full([2, 12], slope), rtol=1e-6)
    np.testing.assert_allclose(loss.metrics["lipschitz"], slope, rtol=1e-6)


def between(real, fake):
    """The points at which the penalty of one pass is taken, with the seeds of `critic_gradients`."""
    share = tf.random.stateless_uniform([len(real), 1], context().seed_for("between 0")).numpy().astype(np.float64)
    return fake + share * (real - fake)


@pytest.mark.parametrize("two_sided", [True, False])
def test_the_penalty_and_its_gradient_are_those_of_the_definition(two_sided):
    objective = tanh_objective(Wasserstein, two_sided=two_sided, penalty=3.0)
    weights, real, fake = weights_of(objective.critic), rows(12, seed=0), rows(12, seed=1, shift=1.0)
    points = between(real, fake)

    def by_hand(weights):
        excess = np.linalg.norm(tanh_scores(weights, points)[1], axis=1) - 1
        excess = excess if two_sided else np.maximum(excess, 0)
        dual = tanh_scores(weights, real)[0].mean() - tanh_scores(weights, fake)[0].mean()
        return 3.0 * np.square(excess).mean() - dual

    slopes = np.linalg.norm(tanh_scores(weights, points)[1], axis=1)
    assert (slopes < 0.9).any() and (slopes > 1.1).any()  # else one side would not show
    loss, gradients = critic_gradients(objective, real, [fake])
    np.testing.assert_allclose(tf.reduce_mean(loss.value), by_hand(weights), rtol=1e-5)  # float32
    for found, expected in zip(gradients, finite_differences(by_hand, weights), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)  # second derivatives in float32


def test_slopes_are_taken_at_uniform_points_on_the_lines_between_the_sides():
    count, far = 4_000, np.array([3.0, 4.0], np.float32)
    real, fake = tf.constant(np.tile(far, (count, 1))), tf.zeros([count, 2])
    # the slope of |x|^2 / 2 is |x|, here the share of the line times 5
    shares = slopes_between(lambda x: tf.reduce_sum(x**2, axis=1) / 2, real, fake, context().seed_for("x")).numpy() / 5
    assert shares.min() >= 0 and shares.max() <= 1
    gap = np.abs(np.sort(shares) - (np.arange(count) + 0.5) / count).max()
    assert gap < 1.95 / np.sqrt(count)  # Kolmogorov's statistic exceeds it once in a thousand
    again = slopes_between(lambda x: tf.reduce_sum(x**2, axis=1) / 2, real, fake, context().seed_for("y")).numpy() / 5
    assert (again != shares).mean() > 0.99


def test_a_flat_critic_has_finite_gradients():
    objective = affine_objective(Wasserstein, [0.0, 0.0])
    loss, gradients = critic_gradients(objective, rows(5, 2), [rows(5, 2, seed=1)])
    np.testing.assert_allclose(loss.metrics["gradient_penalty"], 10.0, rtol=1e-5)  # 10 (0 - 1)^2
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_the_model_minimises_minus_the_score_of_its_samples_and_in_latent_space_the_dual():
    real, fakes = np.array([[1.0], [2.0]]), [np.array([[3.0], [5.0]]), np.array([[-1.0], [0.5]])]
    expected = -(fakes[0] + fakes[1])[:, 0] / 2
    np.testing.assert_array_equal(wasserstein().generator_loss(identity, real, fakes), expected)
    latent = wasserstein(space="latent").generator_loss(identity, real, fakes[:1])
    np.testing.assert_array_equal(latent, (real - fakes[0])[:, 0])


def wgan(lipschitz, hidden=(8,), rate=0.05, **settings):
    optimizer = keras.optimizers.Adam(rate)
    objective = Wasserstein(network=MLP(hidden=hidden), optimizer=optimizer, lipschitz=lipschitz, **settings)
    return gan_experiment(objectives=[objective]).build(), objective


@pytest.mark.parametrize("clip", [0.01, 0.2])
def test_clipping_keeps_every_weight_in_its_range_after_every_step(clip):
    built, objective = wgan("clipping", clip=clip)
    assert max(np.abs(weight).max() for weight in weights_of(objective.critic)) > clip
    for step in range(3):
        one_step(built, step=step)
        largest = [np.abs(weight).max() for weight in weights_of(objective.critic)]
        assert max(largest) == np.float32(clip)  # steps of 0.05 reach the bound


def test_without_clipping_weights_leave_its_range():
    built, objective = wgan("gradient_penalty")
    one_step(built)
    assert min(np.abs(weight).max() for weight in weights_of(objective.critic)[::2]) > 0.01  # both kernels


def test_only_the_chosen_constraint_is_in_force():
    for lipschitz in LIPSCHITZ:
        built, objective = wgan(lipschitz)
        penalised = "wasserstein/gradient_penalty" in one_step(built)
        assert penalised == (lipschitz == "gradient_penalty")
        assert bool(objective.critic.directions) == (lipschitz == "spectral_normalization")


def measured_slopes(objective, seed=5, count=500):
    """At points inside and far outside of the data."""
    x = tf.constant(np.concatenate([rows(count, seed=seed), 10 * rows(count, seed=seed + 1)]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = objective.critic.at(context())(x)
    return np.linalg.norm(tape.gradient(scores, x), axis=1)


def test_under_spectral_normalisation_a_relu_critic_has_slopes_of_at_most_1():
    built, objective = wgan("spectral_normalization", hidden=(16, 16), rate=5e-3)
    assert measured_slopes(objective).max() <= 1 + 1e-5  # built with exact norms, in float32
    before = weights_of(objective.critic)
    for step in range(5):
        one_step(built, step=step)
    slopes = measured_slopes(objective)
    assert slopes.max() <= 1.01  # 25 moves of 0.005 each; one power iteration a move follows them but for this
    assert slopes.max() > 0.1  # not because it is flat
    moved = [np.abs(weight - old).max() for weight, old in zip(weights_of(objective.critic), before, strict=True)]
    assert max(moved) > 0.05


def test_estimates_do_not_depend_on_the_scale_of_the_critic():
    objective = tanh_objective(Wasserstein)
    forward = gan_pass(rows(40), rows(40, seed=1, shift=0.5))
    before = objective.estimates(forward, context())
    for variable in objective.critic.variables()[-2:]:
        variable.assign(7 * raw(variable))
    after = objective.estimates(forward, context())
    assert float(before["wasserstein_estimate"]) != 0
    # float32
    np.testing.assert_allclose(after["wasserstein_estimate"], before["wasserstein_estimate"], rtol=1e-4)
    for name in ("critic_slope", "critic_lipschitz"):
        np.testing.assert_allclose(after[name], 7 * before[name], rtol=1e-5)


def test_the_estimate_of_an_affine_critic_is_its_dual_value_over_its_slope():
    objective = affine_objective(Wasserstein, [3.0, 4.0], 2.0)
    real, fake = rows(30, 2), rows(30, 2, seed=1)
    found = objective.estimates(gan_pass(real, fake), context())
    expected = ((real - fake) @ [3.0, 4.0]).mean() / 5
    np.testing.assert_allclose(found["wasserstein_estimate"], expected, rtol=1e-4, atol=1e-6)  # float32 of means
    np.testing.assert_allclose([found["critic_slope"], found["critic_lipschitz"]], [5.0, 5.0], rtol=1e-6)


def test_the_estimate_divides_the_dual_value_by_the_largest_slope_seen_at_the_samples_and_between_them():
    objective = tanh_objective(Wasserstein)
    weights, real, fake = weights_of(objective.critic), rows(30), rows(30, seed=1, shift=0.5)
    slopes = np.linalg.norm(tanh_scores(weights, np.concatenate([real, fake, between(real, fake)]))[1], axis=1)
    dual = tanh_scores(weights, real)[0].mean() - tanh_scores(weights, fake)[0].mean()
    expected = {
        "wasserstein_estimate": dual / slopes.max(),
        "critic_slope": slopes.mean(),
        "critic_lipschitz": slopes.max(),
    }
    found = objective.estimates(gan_pass(real, fake), context())
    assert set(found) == set(expected)
    for name, target in expected.items():
        np.testing.assert_allclose(found[name], target, rtol=1e-4, err_msg=name)  # float32


def test_a_flat_critic_estimates_0():
    objective = affine_objective(Wasserstein, [0.0, 0.0], 2.0)
    found = objective.estimates(gan_pass(rows(30, 2), rows(30, 2, seed=1)), context())
    assert float(found["wasserstein_estimate"]) == 0.0


def trained_estimate(lipschitz, hidden, real, fake):
    """What a critic estimates after 400 moves on these samples.

    The penalty is one-sided: a two-sided one is a barrier that a slope of the wrong sign does not pass on a line.
    """
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 400), beta_1=0.5)
    sides = {"two_sided": False} if lipschitz == "gradient_penalty" else {}
    objective = Wasserstein(network=MLP(hidden=hidden), optimizer=optimizer, lipschitz=lipschitz, **sides)
    built = gan_experiment(objectives=[objective], data=Points(rows=normal_rows(100, 1)), latent_size=1).build()
    forward, player = gan_pass(real, fake), built.players[0]

    @tf.function(autograph=False)
    def one_move(step):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(objective.adversary_loss(forward, context(step=step)).value)
        player.apply(tape.gradient(loss, [raw(variable) for variable in player.variables.values()]), Devices())
        player.project()

    for step in range(400):
        one_move(tf.constant(step))
    return {name: float(value) for name, value in objective.estimates(forward, context()).items()}


@pytest.mark.parametrize("shift", [-0.5, 2.0])
@pytest.mark.parametrize(
    "lipschitz, hidden",
    # clipped relu nets are not as steep everywhere as they are somewhere
    [("gradient_penalty", (16,)), ("clipping", ()), ("spectral_normalization", (16,))],
)
def test_a_trained_critic_finds_the_distance_of_translated_samples(lipschitz, hidden, shift):
    real = rows(64, 1, seed=4)
    found = trained_estimate(lipschitz, hidden, real, real + np.float32(shift))
    # W of a translation is its length. A dual value over the largest slope is at most that; but training is short
    assert found["wasserstein_estimate"] == pytest.approx(abs(shift), rel=0.01)
    if lipschitz == "gradient_penalty":  # s W - 10 (s - 1)^2 is largest at the slope s = 1 + W / 20
        assert found["critic_slope"] == pytest.approx(1 + abs(shift) / 20, rel=0.01)


def test_unrolling_with_clipping_is_refused():
    refused(lambda: wasserstein(lipschitz="clipping", unrolling=1), "clipping has no gradient")
    wasserstein(lipschitz="gradient_penalty", unrolling=1)


@pytest.mark.slow
def test_unrolling_by_default_does_not_diverge_through_the_penalty_on_the_digits(tmp_path):
    """A rate of 0.1 does, to a loss of -2,956 after 50 steps: the critic's loss has curvatures of 60 and more."""
    bindings = ["steps = 200", "experiment.steps_per_loop = 50", "objective.wasserstein.unrolling = 3"]
    built = read_config(["digits/wgan_gp.gin"], bindings).experiment().build()
    del built.experiment.splits["validation"]  # which takes long to compile
    assert Trainer(built, tmp_path, silent).train().step == 200
    lines = read_lines(tmp_path / "metrics.jsonl")
    assert lines[-1]["step"] == 200
    # pictures are at most 8 long, and slopes below 2: then scores are below 16, and biases of size 1
    assert max(abs(line["wasserstein/generator_loss"]) for line in lines) < 20
    assert max(line["wasserstein/lipschitz"] for line in lines) < 2


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"penalty": 0.0}, "penalty must be positive, got 0"),
        ({"penalty": -1.0}, "penalty must be positive, got -1"),
        ({"clip": 0.0}, "clip must be positive, got 0"),
        ({"lipschitz": "none"}, "lipschitz must be 'gradient_penalty' or 'clipping' or 'spectral_normalization'"),
        ({"clip": 0.01}, "clip has no effect with lipschitz = 'gradient_penalty'; it requires lipschitz = 'clipping'"),
        ({"lipschitz": "clipping", "penalty": 1.0}, "penalty has no effect with lipschitz = 'clipping'"),
        ({"lipschitz": "clipping", "two_sided": True}, "two_sided has no effect with lipschitz = 'clipping'"),
        ({"lipschitz": "spectral_normalization", "two_sided": False}, "two_sided has no effect with lipschitz ="),
        ({"two_sided": 1.5}, "two_sided must be bool"),
    ],
    ids=str,
)
def test_bad_values_are_refused(settings, expected):
    refused(lambda: wasserstein(**settings), Wasserstein.display_name(), expected)
