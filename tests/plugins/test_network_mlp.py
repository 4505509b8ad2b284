"""The multilayer perceptron against NumPy."""

import random

import numpy as np
import pytest
import tensorflow as tf
from small import context
from tfdgm_networks.mlp import MLP

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError

X = np.random.RandomState(0).randn(6, 4, 3).astype(np.float32)


def built(**settings):
    network = MLP(**settings)
    network.build((4, 3), (2, 5), BuildContext(DataSpec(shape=(4, 3)), LatentSpec(2), 10, None, 0))
    for layer in network.layers:
        layer.bias.assign(np.random.RandomState(1).randn(*layer.bias.shape))
    return network


@pytest.mark.parametrize("hidden", [(), (7,), (7, 9)])
def test_it_is_affine_maps_with_relus_between(hidden):
    network = built(hidden=hidden)
    h = X.reshape(6, 12)
    for number, layer in enumerate(network.layers):
        h = np.maximum(h, 0) if number else h
        h = h @ layer.kernel.numpy() + layer.bias.numpy()
    np.testing.assert_allclose(network(tf.constant(X), context()), h.reshape(6, 2, 5), rtol=1e-4, atol=1e-5)  # float32


def test_the_activation_is_the_one_named():
    network = built(hidden=(7,), activation="tanh")
    first, last = network.layers
    h = np.tanh(X.reshape(6, 12) @ first.kernel.numpy() + first.bias.numpy())
    expected = (h @ last.kernel.numpy() + last.bias.numpy()).reshape(6, 2, 5)
    np.testing.assert_allclose(network(tf.constant(X), context()), expected, rtol=1e-4, atol=1e-5)  # float32


def test_glu_makes_hidden_layers_gated_and_leaves_the_last_affine():
    network = built(hidden=(7, 9), activation="glu")
    h = X.reshape(6, 12)
    for layer, width in zip(network.layers[:-1], (7, 9), strict=True):
        kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
        gate = h @ kernel[:, width:] + bias[width:]
        h = (h @ kernel[:, :width] + bias[:width]) / (1 + np.exp(-gate))
    expected = (h @ network.layers[-1].kernel.numpy() + network.layers[-1].bias.numpy()).reshape(6, 2, 5)
    np.testing.assert_allclose(network(tf.constant(X), context()), expected, rtol=1e-4, atol=1e-5)  # float32


def test_dropout_draws_by_the_seed_in_training_and_is_off_elsewhere():
    network = built(hidden=(50,), dropout=0.5)
    x = tf.constant(X)
    first, again, other = (network(x, context(step=step, training=True)).numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    plain = network(x, context(step=0)).numpy()
    np.testing.assert_array_equal(plain, network(x, context(step=1)).numpy())
    draws = np.stack([network(x, context(step=step, training=True)).numpy() for step in range(400)])
    error = draws.std(axis=0) / 20
    assert np.all(np.abs(draws.mean(axis=0) - plain) < 5 * error)  # unbiased at the last layer, five standard errors


def test_an_initialiser_that_draws_nothing_is_taken_as_it_is():
    (layer,) = built(hidden=(), initializer="identity").layers
    np.testing.assert_array_equal(layer.kernel.numpy(), np.eye(12, 10))


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"hidden": (3, 0)}, "hidden must be positive"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"activation": "rleu"}, "'rleu'"),
        ({"initializer": "he_unifrom"}, "'he_unifrom'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, expected):
    with pytest.raises(UserError, match=expected):
        MLP(**settings)


def test_initializers_draw_nothing_from_pythons_generator():
    before = random.getstate()
    for initializer in ("glorot_uniform", "he_normal", "zeros"):
        built(hidden=(7,), initializer=initializer)
    assert random.getstate() == before
