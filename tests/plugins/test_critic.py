"""The critic: packing, spectral norms, substituted weights, and unrolling."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from small import context, gan_experiment
from small_critics import (
    affine_objective,
    finite_differences,
    gan_pass,
    one_step,
    rows,
    softplus,
    spec,
    tanh_objective,
    tanh_scores,
    weights_of,
)
from tfdgm_networks.conv import Conv
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.critic import Critic, mean_by_sample, power_iteration, score_and_slope, spectral_norm, unrolled
from tfdgm_objectives.fgan import FGAN
from tfdgm_objectives.hinge import Hinge
from tfdgm_objectives.jsd import JSD
from tfdgm_objectives.wasserstein import Wasserstein

from tfdgm import Network, UserError
from tfdgm.contracts.component import raw

KINDS = [JSD, Wasserstein, Hinge, FGAN]


def built_critic(network, shape, packing=1, spectral_normalization=False):
    critic = Critic(network, packing, spectral_normalization)
    critic.build(shape, spec(shape))
    return critic


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4)])
def test_a_pack_holds_neighbours_in_the_batch_side_by_side_along_the_last_side(shape):
    x = np.random.RandomState(0).randn(6, *shape).astype(np.float32)
    packed = Critic(MLP(hidden=()), 3, False).pack(tf.constant(x)).numpy()
    assert packed.shape == (2, *shape[:-1], 12)
    for number in range(2):
        np.testing.assert_array_equal(packed[number], np.concatenate(x[3 * number : 3 * number + 3], axis=-1))


def test_without_packing_samples_stay_as_they_are():
    x = tf.zeros([5, 2])
    assert Critic(MLP(hidden=()), 1, False).pack(x) is x


def test_the_network_of_a_packing_critic_reads_whole_packs():
    critic = built_critic(MLP(hidden=(8,)), (2, 4), packing=3)
    assert critic.kernels()[0].shape == (2 * 12, 8)
    assert critic.at(context())(critic.pack(tf.zeros([9, 2, 4]))).shape == (3,)


def test_where_no_network_is_given_the_critic_is_like_the_decoder_with_weights_of_its_own():
    decoder = MLP(hidden=(5, 4), activation="tanh")
    built = gan_experiment(objectives=[JSD(), Wasserstein(packing=2)], decoder=decoder).build()
    for objective, inputs in zip(built.experiment.objectives.values(), (3, 6), strict=True):
        network = objective.critic.network
        assert type(network) is MLP and network is not decoder
        assert (network.hidden, network.activation) == ((5, 4), "tanh")
        assert [tuple(kernel.shape) for kernel in objective.critic.kernels()] == [(inputs, 5), (5, 4), (4, 1)]
        inner = (network.layers[1].kernel.numpy(), decoder.layers[1].kernel.numpy())
        assert (inner[0] != inner[1]).any()
    one_step(built)


def test_a_loss_of_packs_becomes_one_of_samples_with_the_same_mean():
    np.testing.assert_array_equal(mean_by_sample(tf.constant([1.0, 4.0]), 3), [1, 1, 1, 4, 4, 4])
    np.testing.assert_array_equal(mean_by_sample(tf.constant([1.0, 4.0]), 1), [1, 4])


def effective_kernels(critic):
    """Every kernel over its spectral norm, W / sigma, as a matrix."""
    pairs = zip(critic.kernels(), critic.directions.values(), strict=True)
    scaled = [(kernel.value / spectral_norm(kernel.value, direction.value)).numpy() for kernel, direction in pairs]
    return [kernel.reshape(-1, kernel.shape[-1]) for kernel in scaled]


NETWORKS = {"mlp": lambda: MLP(hidden=(7, 5)), "conv": lambda: Conv(width=3, residual_blocks=1)}


@pytest.mark.parametrize("name, shape", [("mlp", (6,)), ("conv", (4, 4, 2))])
def test_kernels_over_their_spectral_norms_have_norm_1_when_built_and_after_power_iterations(name, shape):
    critic = built_critic(NETWORKS[name](), shape, spectral_normalization=True)
    assert len(critic.kernels()) == len(critic.directions) >= 3
    for matrix in effective_kernels(critic):
        assert np.linalg.svd(matrix)[1][0] == pytest.approx(1, abs=1e-5)  # float32
    random = np.random.RandomState(1)
    for kernel in critic.kernels():
        kernel.assign(random.randn(*kernel.shape))
    norms = [np.linalg.svd(matrix)[1][0] for matrix in effective_kernels(critic)]
    assert max(norms) > 1.3  # the directions are those of other kernels
    for _ in range(300):
        critic.project()
    for matrix in effective_kernels(critic):
        # a ratio of .97 of the two largest singular values, to the power of 600, and float32
        assert np.linalg.svd(matrix)[1][0] == pytest.approx(1, abs=1e-4)


def test_scores_are_those_of_a_network_with_normalised_kernels():
    critic = built_critic(MLP(hidden=(7,)), (3,), spectral_normalization=True)
    random = np.random.RandomState(0)
    for variable in critic.variables():
        variable.assign(random.randn(*variable.shape))
    for _ in range(100):
        critic.project()
    first, offset, second, last = weights_of(critic)
    x = rows(9).astype(np.float64)
    hidden = np.maximum(x @ first / np.linalg.norm(first, 2) + offset, 0)
    expected = (hidden @ second / np.linalg.norm(second, 2) + last)[:, 0]
    np.testing.assert_allclose(critic.at(context())(tf.constant(x, tf.float32)), expected, rtol=1e-4, atol=1e-5)


def test_the_spectral_norm_and_its_gradient_are_the_singular_value_and_u_v():
    kernel = np.random.RandomState(0).randn(3, 2, 4)  # as of a convolution
    u, singular, v = np.linalg.svd(kernel.reshape(6, 4), full_matrices=False)
    kernel, direction = tf.constant(kernel), tf.constant(v[0])
    with tf.GradientTape() as tape:
        tape.watch([kernel, direction])
        norm = spectral_norm(kernel, direction)
    of_kernel, of_direction = tape.gradient(norm, [kernel, direction])
    assert float(norm) == pytest.approx(singular[0], rel=1e-12)  # float64
    np.testing.assert_allclose(of_kernel, np.outer(u[:, 0], v[0]).reshape(3, 2, 4), atol=1e-12)
    assert of_direction is None


def test_a_power_iteration_is_v_times_the_gram_matrix_normalised():
    kernel, direction = np.random.RandomState(0).randn(6, 4), np.array([1.0, 0.0, 0.0, 0.0])
    expected = kernel.T @ kernel @ direction
    found = power_iteration(tf.constant(kernel), tf.constant(direction))
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-12)  # float64


def test_one_power_iteration_follows_every_move_of_the_critic_and_none_the_models():
    built = gan_experiment(objectives=[JSD(network=MLP(hidden=(4,)), moves=2, spectral_normalization=True)]).build()
    critic, player = built.experiment.objectives["jsd"].critic, built.players[0]
    start = [direction.numpy() for direction in critic.directions.values()]
    one_step(built, built.players[1:])
    for direction, before in zip(critic.directions.values(), start, strict=True):
        np.testing.assert_array_equal(direction.numpy(), before)
    calls = []
    critic.project = lambda: calls.append(1)
    one_step(built, [player])
    assert len(calls) == 2


def test_scores_and_slopes_are_those_of_the_derivative():
    objective, x = tanh_objective(JSD), rows(8)
    scores, squared = score_and_slope(objective.critic.at(context()), tf.constant(x))
    expected, gradient = tanh_scores(weights_of(objective.critic), x.astype(np.float64))
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)  # float32
    np.testing.assert_allclose(squared, np.square(gradient).sum(axis=1), rtol=1e-5)


def test_slopes_of_pictures_are_over_all_their_sides():
    x = tf.constant(np.random.RandomState(0).randn(3, 2, 2, 1))
    squared = score_and_slope(lambda x: tf.reduce_sum(x**2, axis=[1, 2, 3]) / 2, x)[1]
    np.testing.assert_allclose(squared, np.square(x).sum(axis=(1, 2, 3)), rtol=1e-12)  # float64


@pytest.mark.parametrize("spectral", [False, True])
def test_weights_put_in_place_score_as_if_they_were_the_critics_own_and_receive_gradients(spectral):
    critic, x = built_critic(MLP(hidden=(5,)), (3,), spectral_normalization=spectral), tf.constant(rows(7))
    own = weights_of(critic)
    random = np.random.RandomState(5)
    values = {i: tf.constant(random.randn(*weight.shape), tf.float32) for i, weight in enumerate(own)}
    with tf.GradientTape() as tape:
        tape.watch(list(values.values()))
        placed = critic.at(context(), values)(x)
    gradients = tape.gradient(placed, values)
    assert all(np.abs(gradients[i]).max() > 0 for i in values)
    for before, after in zip(own, weights_of(critic), strict=True):
        np.testing.assert_array_equal(before, after)
    for i, variable in enumerate(critic.variables()):
        variable.assign(values[i])
    with tf.GradientTape() as tape:
        expected = critic.at(context())(x)
    of_variables = tape.gradient(expected, [raw(variable) for variable in critic.variables()])
    np.testing.assert_array_equal(placed, expected)
    for i, gradient in enumerate(of_variables):
        np.testing.assert_allclose(gradients[i], gradient, rtol=1e-6, atol=1e-7)  # float32


class OldVariables(Network):
    """An affine map whose slope is a tf.Variable."""

    def build(self, input_shape, output_shape, context):
        self.slope = tf.Variable(tf.ones([input_shape[-1]]), name="slope")

    def __call__(self, x, context):
        return tf.linalg.matvec(x, self.slope)


@pytest.mark.parametrize("setting", [{"spectral_normalization": True}, {"unrolling": 1}], ids=str)
def test_a_network_of_tf_variables_is_refused_where_its_weights_must_be_replaced(setting):
    with pytest.raises(UserError, match=r"OldVariables keeps slope.* as tf.Variable"):
        gan_experiment(objectives=[JSD(network=OldVariables(), **setting)]).build()


def test_tf_variables_can_be_clipped():
    built = gan_experiment(objectives=[Wasserstein(network=OldVariables(), lipschitz="clipping", clip=0.2)]).build()
    one_step(built)
    slope = built.experiment.objectives["wasserstein"].critic.network.slope.numpy()
    assert np.abs(slope).max() == np.float32(0.2)  # they were 1, and Adam moves them by 1e-3


def test_a_network_of_tf_variables_is_accepted_unless_they_must_be_replaced():
    built = gan_experiment(objectives=[JSD(network=OldVariables())]).build()
    before = built.experiment.objectives["jsd"].critic.network.slope.numpy()
    one_step(built)
    assert (built.experiment.objectives["jsd"].critic.network.slope.numpy() != before).all()


RATE = 0.1


def descended(weights, x, y, moves):
    """`moves` steps of gradient descent on E (slope . x + offset - y)^2 / 2, in float64."""
    slope, offset = weights
    for _ in range(moves):
        residual = x @ slope + offset - y
        slope, offset = slope - RATE * x.T @ residual / len(x), offset - RATE * residual.mean()
    return slope, offset


@pytest.mark.parametrize("moves", [1, 2, 5])
def test_virtual_steps_are_gradient_descent_on_least_squares(moves):
    objective = affine_objective(JSD, [0.5, -1.0, 2.0], 0.3)
    x, y = rows(10), np.random.RandomState(9).randn(10).astype(np.float32)

    def loss(score):
        return tf.reduce_mean(tf.square(score(tf.constant(x)) - y)) / 2

    values = unrolled(objective.critic, context(), loss, moves, RATE)
    start = np.array([0.5, -1.0, 2.0]), 0.3
    slope, offset = descended(start, x.astype(np.float64), y, moves)
    np.testing.assert_allclose(values[0][:, 0], slope, rtol=1e-5, atol=1e-6)  # float32
    np.testing.assert_allclose(values[1], [offset], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(raw(objective.critic.variables()[0])[:, 0], np.float32([0.5, -1.0, 2.0]))
    np.testing.assert_array_equal(raw(objective.critic.variables()[1]), np.float32([0.3]))


@pytest.mark.parametrize(
    "kind, settings, rate",
    [
        (JSD, {}, 0.1),
        (Wasserstein, {}, 0.01),
        (Wasserstein, {"penalty": 5.0}, 0.02),
        (Wasserstein, {"lipschitz": "spectral_normalization"}, 0.1),
        (Wasserstein, {"unrolling_rate": 0.03}, 0.03),
    ],
    ids=str,
)
def test_the_default_rate_of_virtual_steps_is_0_1_over_the_penalty(monkeypatch, kind, settings, rate):
    rates = []
    monkeypatch.setattr("tfdgm_objectives.adversarial.unrolled", lambda *arguments: rates.append(arguments[-1]))
    objective = tanh_objective(kind, unrolling=2, **settings)
    objective.model_loss(gan_pass(rows(4), rows(4, seed=1)), context())
    assert rates == [pytest.approx(rate)]


#: Of the critic's loss, with respect to the scores of real and of fake samples.
DERIVATIVES = {
    JSD: lambda real, fake: (-expit(-real), expit(fake)),
    Hinge: lambda real, fake: (-(real < 1.0).astype(float), (fake > -1.0).astype(float)),
    FGAN: lambda real, fake: (-np.ones_like(real), fake / 2 + 1),  # of Pearson's divergence
}


def moved_weights(kind, slope, offset, real, fake, moves):
    """The affine critic's after `moves` steps of gradient descent on its own loss, in float64."""
    for _ in range(moves):
        if kind in DERIVATIVES:
            at_real, at_fake = DERIVATIVES[kind](real @ slope + offset, fake @ slope + offset)
            gradient = (real.T @ at_real) / len(real) + (fake.T @ at_fake) / len(fake)
            slope, offset = slope - RATE * gradient, offset - RATE * (at_real.mean() + at_fake.mean())
        else:  # the penalty, 10 (|slope| - 1)^2 wherever it is taken; the offset cancels
            length = np.linalg.norm(slope)
            gradient = fake.mean(axis=0) - real.mean(axis=0) + 20 * (length - 1) * slope / length
            slope = slope - RATE * gradient
    return slope, offset


def model_loss(kind, weights, fake):
    scores = fake @ weights[0] + weights[1]
    return softplus(-scores).mean() if kind is JSD else -scores.mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moves", [1, 2])
def test_the_models_loss_and_gradient_go_through_the_virtual_steps(kind, moves):
    slope, offset = np.array([0.5, -1.0, 0.4]), 0.3
    objective = affine_objective(kind, slope, offset, unrolling=moves, unrolling_rate=RATE)
    real, fake = rows(10), rows(10, seed=1, shift=0.7)
    forward = gan_pass(real, fake)
    with tf.GradientTape() as tape:
        tape.watch(forward.generated)
        loss = tf.reduce_mean(objective.model_loss(forward, context()).value)
    gradient = tape.gradient(loss, forward.generated)

    real, fake = real.astype(np.float64), fake.astype(np.float64)

    def looking_ahead(arrays):
        return model_loss(kind, moved_weights(kind, slope, offset, real, arrays[0], moves), arrays[0])

    def at_fixed_weights(arrays):
        return model_loss(kind, moved_weights(kind, slope, offset, real, fake, moves), arrays[0])

    np.testing.assert_allclose(loss, looking_ahead([fake]), rtol=1e-4)  # float32, through a steep penalty
    expected = finite_differences(looking_ahead, [fake])[0]
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)  # as above
    assert np.abs(expected - finite_differences(at_fixed_weights, [fake])[0]).max() > 1e-3  # the moves do tell
    np.testing.assert_array_equal(raw(objective.critic.variables()[0])[:, 0], slope.astype(np.float32))


def test_looking_ahead_moves_no_variable_of_the_critic_in_a_whole_step():
    built = gan_experiment(objectives=[JSD(network=MLP(hidden=(4,)), unrolling=3)]).build()
    critic = built.experiment.objectives["jsd"].critic
    before = weights_of(critic)
    one_step(built, built.players[1:])
    for weight, old in zip(weights_of(critic), before, strict=True):
        np.testing.assert_array_equal(weight, old)
