"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

import numpy as np
import pytest
import tensorflow as tf
from tfdgm import BuildContext, Context, DataSpec, LatentSpec
from tfdgm.testing import NetworkTests

from example_module import ExamplePlugin

BUILD = BuildContext(DataSpec(shape=(2,)), LatentSpec(size=2), num_train=10, train_rows=lambda rows: rows, seed=0)
CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))


class TestConformance(NetworkTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_it_is_an_affine_map():
    network = ExamplePlugin()
    network.build((2,), (3,), BUILD)
    network.layer.bias.assign([1.0, 2.0, 3.0])
    x = np.random.RandomState(0).randn(5, 2).astype(np.float32)
    expected = x @ network.layer.kernel.numpy() + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(network(tf.constant(x), CONTEXT), expected, rtol=1e-4, atol=1e-5)
