"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import logistic
from tfdgm import Context
from tfdgm.testing import PosteriorTests

from example_module import ExamplePlugin

CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))


class TestConformance(PosteriorTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_the_features_are_locations_and_pre_scales():
    features = np.random.RandomState(0).randn(5, 4).astype(np.float32)
    z = np.random.RandomState(1).randn(5, 2).astype(np.float32)
    q = ExamplePlugin(min_scale=0.1).distribution(tf.constant(features), CONTEXT)
    scale = np.log1p(np.exp(features[:, 2:])) + 0.1
    expected = logistic.logpdf(z, features[:, :2], scale).sum(axis=1)
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-4)
