"""Variables of a flow: one for each bijector and layer, or one for a layer of all bijectors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from flows import away_from_the_identity, built
from small import context

from tfdgm.contracts.component import named_variables, raw


def loss_of(prior, z):
    """-E log p(z), and something that draws depend on."""
    log_prob = prior.distribution(context()).log_prob(z)
    return tf.reduce_mean(tf.sin(prior.distribution(context()).sample(8, seed=[1, 2]))) - tf.reduce_mean(log_prob)


def size_of_the_program(prior):
    """Number of operations of the loss and its gradient."""
    variables = [raw(variable) for variable in named_variables(prior).values()]

    def gradient(z):
        with tf.GradientTape() as tape:
            loss = loss_of(prior, z)
        return tape.gradient(loss, variables)

    graph = tf.function(gradient, autograph=False).get_concrete_function(tf.TensorSpec([6, 4])).graph.as_graph_def()
    return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)


def test_up_to_ten_bijectors_have_variables_of_their_own_and_more_share_one_for_each_layer():
    separate = list(named_variables(built(4, hidden=(8,), num_bijectors=10)))
    assert len(separate) == 40
    assert separate[:4] == [f"networks/0/{kind}/{layer}" for kind in ("kernels", "biases") for layer in (0, 1)]
    shared = named_variables(built(4, hidden=(8,), num_bijectors=11))
    assert list(shared) == [f"stack/{kind}/{layer}" for kind in ("kernels", "biases") for layer in (0, 1)]
    assert [tuple(variable.shape) for variable in shared.values()] == [(11, 4, 8), (11, 8, 8), (11, 8), (11, 8)]


def test_the_initial_values_do_not_depend_on_where_they_are_kept():
    separate, shared = (built(5, hidden=(8, 7), num_bijectors=3, stacked=stacked) for stacked in (False, True))
    for kind in ("kernels", "biases"):
        for layer, variable in enumerate(getattr(shared.stack, kind)):
            expected = [getattr(network, kind)[layer].numpy() for network in separate.networks]
            np.testing.assert_array_equal(variable.numpy(), np.stack(expected))
    assert len({kernels.tobytes() for kernels in shared.stack.kernels[0].numpy()}) == 3


def test_the_program_of_a_stack_does_not_grow_with_the_number_of_bijectors():
    few, many = (size_of_the_program(built(4, hidden=(8,), num_bijectors=count, stacked=True)) for count in (3, 40))
    assert few <= many <= 1.02 * few  # tf.zeros of more than 1,000 elements takes two operations more


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [False, True])
def test_a_step_traced_by_itself_trains_within_a_compiled_loop(stacked):
    """As the training loop has it; XLA asks for sizes there that it could otherwise read off."""
    prior, steps = away_from_the_identity(built(3, hidden=(8,), num_bijectors=2, stacked=stacked)), 5
    variables = [raw(variable) for variable in named_variables(prior).values()]
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(variables)
    z = tf.constant(np.random.RandomState(0).randn(6, 3), tf.float32)

    def step(z):
        with tf.GradientTape() as tape:
            loss = loss_of(prior, z)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    traced = tf.function(step, autograph=False).get_concrete_function(z)

    @tf.function(jit_compile=True, autograph=False)
    def loop(z):
        losses = tf.TensorArray(tf.float32, steps, element_shape=[])
        body = lambda number, losses: (number + 1, losses.write(number, traced(z)))  # noqa: E731
        return tf.while_loop(lambda number, _: number < steps, body, (0, losses), maximum_iterations=steps)[1].stack()

    losses = loop(z).numpy()
    assert (np.diff(losses) < -1e-3).all()
