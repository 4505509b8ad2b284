"""Batch normalisation over shards, and networks in bfloat16."""

import numpy as np
import pytest
import tensorflow as tf
from small import context, points_experiment, silent
from tfdgm_networks.conv import Conv
from tfdgm_networks.mlp import MLP
from tfdgm_networks.normalization import BatchNormalization

from tfdgm import BuildContext, Context, DataSpec, LatentSpec
from tfdgm.contracts.context import Collector
from tfdgm.training.trainer import Trainer

X = 3 + 2 * np.random.RandomState(0).randn(10, 4, 3).astype(np.float32)


def training(collector):
    return Context(tf.constant([1, 2]), tf.constant(0, tf.int64), training=True, collector=collector)


def test_in_training_channels_have_mean_0_and_variance_1_and_elsewhere_the_averages_count():
    norm = BatchNormalization(3)
    y = norm(tf.constant(X), training(Collector())).numpy().reshape(-1, 3)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(
        y.var(axis=0), X.reshape(-1, 3).var(axis=0) / (X.reshape(-1, 3).var(axis=0) + 1e-3), rtol=1e-4
    )
    np.testing.assert_allclose(norm(tf.constant(X), context()), X / np.sqrt(1 + 1e-3), rtol=1e-5)


def test_the_averages_follow_mean_and_variance_over_all_shards_and_passes():
    norm, collector = BatchNormalization(3), Collector()
    for part in (X[:5], X[5:], X[:5] + 1):
        norm(tf.constant(part), training(collector))
    totals = {name: statistic.tensor for name, statistic in collector.statistics[norm].items()}
    norm.update_statistics(totals, context())
    seen = np.concatenate([X[:5], X[5:], X[:5] + 1]).reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(norm.mean.numpy(), 0.01 * seen.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(norm.variance.numpy(), 0.99 + 0.01 * seen.var(axis=0), rtol=1e-4)


def small(cls, precision="float32", **settings):
    network = cls(**settings)
    data = DataSpec(shape=(8, 8, 1), image_shape=(8, 8, 1))
    network.build((8, 8, 1), (5,), BuildContext(data, LatentSpec(5), 10, None, 0, precision=precision))
    return network


IMAGES = tf.constant(np.random.RandomState(1).rand(6, 8, 8, 1).astype(np.float32))
NETWORKS = [(MLP, {"hidden": (16, 16)}), (MLP, {"hidden": (16,), "activation": "glu"}), (Conv, {"width": 16})]


@pytest.mark.parametrize("cls, settings", NETWORKS)
def test_every_weight_of_a_normalised_network_has_a_gradient_that_is_not_rounding(cls, settings):
    network = small(cls, normalization="batch", **settings)
    weights = [variable.value for variable in network.trainable_variables()]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(IMAGES, training(Collector()))))
    largest = [float(tf.reduce_max(tf.abs(gradient))) for gradient in tape.gradient(loss, weights)]
    assert min(largest) > 1e-3, largest  # a bias before a norm has 1e-7, which Adam makes a step of full size


@pytest.mark.parametrize("cls, settings", NETWORKS)
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_in_bfloat16_weights_and_outputs_are_float32_and_values_close(cls, settings, normalization):
    exact = small(cls, normalization=normalization, **settings)
    rough = small(cls, "bfloat16", normalization=normalization, **settings)
    for first, second in zip(exact.trainable_variables(), rough.trainable_variables(), strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())
        assert second.dtype == "float32"
    expected, found = (network(IMAGES, training(Collector())) for network in (exact, rough))
    assert found.dtype == tf.float32
    difference = np.abs(found - expected).max()
    assert 0 < difference < 0.1 * np.abs(expected).max()  # 8 bits of mantissa, through several layers


@pytest.mark.slow
def test_a_normalised_vae_trains_and_resumes_bit_for_bit(tmp_path):
    def run(workdir, steps):
        encoder, decoder = (MLP(hidden=(8,), normalization="batch") for _ in range(2))
        trainer = Trainer(points_experiment(encoder=encoder, decoder=decoder, steps=steps).build(), workdir, silent)
        trainer.train()
        return trainer.built.state.read()

    straight = run(tmp_path / "straight", 40)
    run(tmp_path / "broken", 20)
    for name, value in run(tmp_path / "broken", 40).items():
        np.testing.assert_array_equal(value, straight[name], err_msg=name)
    assert np.abs(straight["model/encoder/norms/0/mean"]).max() > 0.01
