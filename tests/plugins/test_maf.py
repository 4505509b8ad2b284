"""The autoregressive flow: masks, log-determinant, inverse, normalisation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tfdgm_flows.made import masks
from tfdgm_priors.maf import MAF

from tfdgm import BuildContext, Context, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import named_variables, raw, trainable

CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))


def flow(size, **hyperparameters):
    prior = MAF(hidden=(32, 32), **hyperparameters)
    spec = LatentSpec(size=size)
    prior.build(BuildContext(DataSpec((size,)), spec, 1, lambda indices: indices, seed=0))
    random = np.random.RandomState(1)
    for network in prior.networks or [prior.stack]:  # away from the identity
        for kernel in network.kernels:
            kernel.assign(random.randn(*kernel.shape).astype(np.float32) * 0.3)
    return prior


@pytest.mark.parametrize("hidden", [(7,), (16, 5)])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_output_i_depends_on_inputs_before_i_alone(size, hidden):
    connected = np.linalg.multi_dot([np.eye(size), *masks(size, hidden)]) > 0
    shift, log_scale = connected[:, :size], connected[:, size:]
    before = np.triu(np.ones((size, size), bool), k=1)
    assert not (shift & ~before).any()
    np.testing.assert_array_equal(shift, log_scale)
    # every allowed dependence exists where the hidden layers are wide enough to carry all degrees
    if min(hidden) >= size - 1:
        np.testing.assert_array_equal(shift, before)


@pytest.mark.parametrize("order", ["reverse", "random"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("stacked", [False, True])
def test_the_log_determinant_is_that_of_the_jacobian(order, activation, stacked):
    prior = flow(5, num_bijectors=3, order=order, activation=activation, stacked=stacked)
    z = tf.constant(np.random.RandomState(2).randn(7, 5), tf.float32)
    with tf.GradientTape(persistent=stacked) as tape:
        tape.watch(z)
        noise = prior.bijector().inverse(z)
    # pfor cannot vectorise the loop of a stack
    expected = np.linalg.slogdet(tape.batch_jacobian(noise, z, experimental_use_pfor=not stacked).numpy())[1]
    value = prior.bijector().inverse_log_det_jacobian(z, event_ndims=1).numpy()
    # float32 through three bijectors
    np.testing.assert_allclose(value, expected, atol=1e-4)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("size", [1, 4])
def test_the_inverse_undoes_forward(size, stacked):
    prior = flow(size, num_bijectors=3, activation="tanh", stacked=stacked)
    noise = tf.constant(np.random.RandomState(0).randn(9, size), tf.float32)
    z = tf.identity(prior.bijector().forward(noise))  # identity: keep the bijector from looking up its cache
    # float32, scales up to exp(3) on the way
    np.testing.assert_allclose(prior.bijector().inverse(z).numpy(), noise.numpy(), atol=1e-3)


def test_the_density_integrates_to_one():
    prior = flow(2, num_bijectors=2, activation="tanh", log_scale_bound=0.5)
    axis = np.linspace(-12, 12, 481, dtype=np.float32)
    grid = tf.constant(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    mass = (
        np.exp(prior.distribution(CONTEXT).log_prob(grid).numpy().astype(np.float64)).sum() * (axis[1] - axis[0]) ** 2
    )
    # the sum over a grid of step 0.05 of a smooth density; the tails beyond 12 hold less than 1e-4
    assert mass == pytest.approx(1, abs=1e-3)


def test_drawing_and_its_density_agree_under_xla():
    prior = flow(3, num_bijectors=2, activation="tanh")

    @tf.function(jit_compile=True)
    def draw():
        distribution = prior.distribution(CONTEXT)
        z = distribution.sample(16, seed=[3, 4])
        return z, distribution.log_prob(z)

    z, log_prob = draw()
    # float32 through two bijectors and back
    np.testing.assert_allclose(prior.distribution(CONTEXT).log_prob(z).numpy(), log_prob.numpy(), atol=2e-3)


@pytest.mark.parametrize(
    "wrong", [{"num_bijectors": 0}, {"hidden": ()}, {"log_scale_bound": 0.0}, {"activation": "rleu"}, {"order": "up"}]
)
def test_wrong_hyperparameters_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        MAF(**wrong)


def works_on_each_unit(activation):
    """Whether a change of one unit changes that unit alone."""
    x = np.random.RandomState(0).randn(3, 6).astype(np.float32)
    try:
        found, changed = (activation(tf.constant(values)).numpy() for values in (x, x + np.eye(6)[2]))
    except TypeError:  # it needs parameters
        return False
    return found.shape == x.shape and np.allclose(np.delete(found - changed, 2, axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("activation", sorted(keras.src.activations.ALL_OBJECTS_DICT))
def test_an_activation_is_refused_where_the_masks_cannot_follow_it(activation):
    if works_on_each_unit(keras.activations.get(activation)):
        MAF(activation=activation)
    else:
        with pytest.raises(UserError, match=f'activation must be elementwise, .* "{activation}"'):
            MAF(activation=activation)


def banana(count, seed):
    """x2 ~ N(0, 4), x1 | x2 ~ N(x2^2 / 4, 1)."""
    random = np.random.RandomState(seed)
    x2 = 2 * random.randn(count)
    return np.stack([x2**2 / 4 + random.randn(count), x2], axis=1).astype(np.float32)


@pytest.mark.slow
def test_a_flow_learns_the_banana_to_its_entropy():
    prior = MAF(num_bijectors=4, hidden=(64, 64))
    prior.build(BuildContext(DataSpec((2,)), LatentSpec(size=2), 1, lambda indices: indices, seed=0))
    variables = list(trainable(named_variables(prior)).values())
    steps, batch = 2_500, 256
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps))
    optimizer.build(variables)
    train, test = tf.constant(banana(50_000, 0)), tf.constant(banana(50_000, 1))

    @tf.function(jit_compile=True, autograph=False)
    def fit(seed):
        def body(step):
            rows = tf.random.stateless_uniform([batch], tf.stack([seed, step]), 0, len(train), tf.int32)
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(prior.distribution(CONTEXT).log_prob(tf.gather(train, rows)))
            gradients = tape.gradient(loss, [raw(variable) for variable in variables])
            optimizer.apply(gradients, variables)
            return step + 1

        return tf.while_loop(lambda step: step < steps, body, (0,), maximum_iterations=steps)

    fit(tf.constant(0))
    nll = -tf.reduce_mean(prior.distribution(CONTEXT).log_prob(test)).numpy()
    # entropy log 2 + 2 * (1 + log 2 pi) / 2 = 3.5310 nats; the mean over 50,000 test points has a standard error of
    # 1 / sqrt(50,000) = 0.0045 (log p has variance 1 in two dimensions)
    assert abs(nll - (np.log(2) + 1 + np.log(2 * np.pi))) < 0.02
