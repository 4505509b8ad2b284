"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import t
from tfdgm import BuildContext, Context, DataSpec, LatentSpec
from tfdgm.testing import PriorTests

from example_module import ExamplePlugin

BUILD = BuildContext(DataSpec(shape=(2,)), LatentSpec(size=2), num_train=10, train_rows=lambda rows: rows, seed=0)
CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))


class TestConformance(PriorTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_the_density_is_a_product_of_students_densities():
    prior = ExamplePlugin(df=3.0)
    prior.build(BUILD)
    z = np.random.RandomState(0).randn(5, 2).astype(np.float32)
    expected = t.logpdf(z, 3.0).sum(axis=1)
    np.testing.assert_allclose(prior.distribution(CONTEXT).log_prob(z), expected, rtol=1e-5)
