"""The prior of affine couplings: log-determinant, inverse, normalisation, draws, size of the program."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from small import context, points_experiment
from tfdgm_priors.real_nvp import RealNVP

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import named_variables, raw


def built(size, **hyperparameters):
    prior = RealNVP(**{"hidden": (32, 32), "activation": "tanh", **hyperparameters})
    prior.build(BuildContext(DataSpec((size,)), LatentSpec(size=size), 1, lambda indices: indices, seed=0))
    return prior


def flow(size, **hyperparameters):
    """A flow away from the identity."""
    prior, random = built(size, **hyperparameters), np.random.RandomState(1)
    for variable in named_variables(prior).values():
        raw(variable).assign(random.randn(*variable.shape) * 0.3)
    return prior


def points(size, count=7):
    return tf.constant(np.random.RandomState(2).randn(count, size), tf.float32)


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_the_density_is_that_of_the_jacobian(size, number):
    prior, z = flow(size, num_couplings=number), points(size)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        noise = prior.bijector().inverse(z)
    jacobian = tape.batch_jacobian(noise, z, experimental_use_pfor=False)  # pfor cannot vectorise the loop
    expected = scipy.stats.norm.logpdf(noise).sum(1) + np.linalg.slogdet(jacobian.numpy())[1]
    np.testing.assert_allclose(prior.distribution(context()).log_prob(z), expected, atol=1e-4)  # float32


def test_couplings_are_those_of_the_formula():
    prior, u = flow(5, num_couplings=2), np.random.RandomState(2).randn(7, 5)

    def network(x, number):
        for layer, (kernel, bias) in enumerate(prior.networks.layers()):
            x = (np.tanh(x) if layer else x) @ kernel[number].numpy() + bias[number].numpy()
        return x[:, :3], 3 * np.tanh(x[:, 3:] / 3)

    z = u
    for number in (1, 0):  # the last coupling is applied to the noise first
        z = z[:, ::-1] if number == 0 else z
        shift, log_scale = network(z[:, :2], number)
        z = np.concatenate([z[:, :2], z[:, 2:] * np.exp(log_scale) + shift], axis=1)
    np.testing.assert_allclose(prior.bijector().forward(tf.constant(u, tf.float32)), z, rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("number", [1, 4])
def test_the_inverse_undoes_forward(size, number):
    prior, noise = flow(size, num_couplings=number), points(size)
    z = tf.identity(prior.bijector().forward(noise))  # identity: keep the bijector from looking up its cache
    # float32, scales up to exp(3) on the way
    np.testing.assert_allclose(prior.bijector().inverse(z), noise, atol=1e-3)


def test_the_density_integrates_to_one_and_its_moments_are_those_of_draws():
    prior = flow(2, num_couplings=3, log_scale_bound=0.5)
    axis = np.linspace(-12, 12, 481, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(prior.distribution(context()).log_prob(grid).numpy().astype(float)) * (axis[1] - axis[0]) ** 2
    # the sum over a grid of step 0.05 of a smooth density; the tails beyond 12 hold less than 1e-4
    assert density.sum() == pytest.approx(1, abs=1e-3)
    draws = prior.distribution(context()).sample(20_000, seed=[3, 4]).numpy()
    for function in (lambda z: z, np.square, lambda z: np.sin(z[:, :1] * z[:, 1:])):
        values = function(draws)
        error = values.std(axis=0) / np.sqrt(len(draws))
        assert np.all(np.abs(values.mean(axis=0) - density @ function(grid)) < 5 * error)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_are_those_without_the_loop(direction):
    """The loop's gradient is written by hand; here the same couplings are applied one by one."""
    prior, x = flow(3, num_couplings=3), points(3)
    weights = [raw(variable) for variable in named_variables(prior).values()]

    def one_by_one(x):
        total, order = 0.0, [0, 1, 2] if direction == "inverse" else [2, 1, 0]
        for position, number in enumerate(order):
            layers = [(kernel[number], bias[number]) for kernel, bias in prior.networks.layers()]
            x = x[:, ::-1] if position else x
            x, log_det = (prior._coupled if direction == "forward" else prior._uncoupled)(x, layers)
            total += log_det
        return x, total

    def by_bijector(x):
        y = getattr(prior.bijector(), direction)(x)
        return y, getattr(prior.bijector(), f"{direction}_log_det_jacobian")(x, event_ndims=1)

    found = []
    for apply in (one_by_one, by_bijector):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y, log_det = apply(x)
            loss = tf.reduce_sum(tf.sin(y)) + tf.reduce_sum(log_det * tf.range(7.0))
        found.append([y, log_det, *tape.gradient(loss, [x, *weights])])
    for expected, value in zip(*found, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)  # float32, other order of sums


@pytest.mark.parametrize("number", [7, 8])
def test_a_new_flow_is_near_the_identity_but_for_the_reversals(number):
    prior, z = built(4, num_couplings=number), points(4)
    expected = z if number % 2 else z[:, ::-1]
    np.testing.assert_allclose(prior.bijector().forward(z), expected, atol=0.1)  # eight last layers of size 0.01


def test_the_program_does_not_grow_with_the_number_of_couplings():
    def size(number):
        prior = built(4, num_couplings=number)
        variables = [raw(variable) for variable in named_variables(prior).values()]

        def gradient(z):
            with tf.GradientTape() as tape:
                p = prior.distribution(context())
                loss = tf.reduce_sum(p.log_prob(z)) + tf.reduce_sum(p.sample(3, seed=[1, 2]))
            return tape.gradient(loss, variables)

        traced = tf.function(gradient, autograph=False).get_concrete_function(tf.TensorSpec([6, 4]))
        graph = traced.graph.as_graph_def()
        return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)

    few, many = size(3), size(40)
    assert few <= many <= 1.02 * few  # tf.zeros of more than 1,000 elements takes two operations more


@pytest.mark.parametrize(
    "wrong", [{"num_couplings": 0}, {"hidden": ()}, {"log_scale_bound": 0.0}, {"activation": "glu"}]
)
def test_wrong_hyperparameters_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        RealNVP(**wrong)


def test_a_latent_of_one_dimension_is_refused():
    with pytest.raises(UserError, match=r"at least 2 dimensions.*prior\.maf"):
        points_experiment(prior=RealNVP(), latent_size=1).build()
