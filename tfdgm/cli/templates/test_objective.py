"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tfdgm import Context
from tfdgm.testing import ObjectiveTests

from example_module import ExamplePlugin

CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))


class TestConformance(ObjectiveTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_the_rate_costs_its_distance_from_the_capacity():
    forward = SimpleNamespace(rate=tf.constant([4.0, 9.0]), reconstruction=tf.constant([-1.0, -2.0]))
    loss = ExamplePlugin(capacity=5.0).model_loss(forward, CONTEXT)
    np.testing.assert_allclose(loss.value, [1.0 + 1.0, 4.0 + 2.0])
