"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import laplace
from tfdgm import BuildContext, DataSpec, LatentSpec
from tfdgm.testing import LikelihoodTests

from example_module import ExamplePlugin

BUILD = BuildContext(DataSpec(shape=(2,)), LatentSpec(size=2), num_train=10, train_rows=lambda rows: rows, seed=0)


class TestConformance(LikelihoodTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_the_density_is_a_product_of_laplace_densities():
    likelihood = ExamplePlugin(scale=0.3)
    likelihood.build(BUILD)
    outputs, x = np.random.RandomState(0).randn(2, 5, 2).astype(np.float32)
    expected = laplace.logpdf(x, outputs, 0.3).sum(axis=1)
    np.testing.assert_allclose(likelihood.distribution(tf.constant(outputs)).log_prob(x), expected, rtol=1e-5)
