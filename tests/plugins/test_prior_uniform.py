"""The uniform prior over codes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from small import context
from tfdgm_priors.uniform import Uniform

from tfdgm import BuildContext, DataSpec, LatentSpec


def uniform(positions, categories):
    prior = Uniform()
    spec = LatentSpec(size=2, positions=positions, categories=categories)
    prior.build(BuildContext(DataSpec((3,)), spec, 1, lambda indices: indices, seed=0))
    return prior.distribution(context())


@pytest.mark.parametrize("positions", [(4,), (2, 2)])
def test_every_grid_has_the_same_probability_and_together_they_have_one(positions):
    grids = np.array(list(itertools.product(range(3), repeat=4)), np.int32).reshape(-1, *positions)
    distribution = uniform(positions, 3)
    assert distribution.event_shape == positions and distribution.batch_shape == ()
    found = distribution.log_prob(grids).numpy()
    np.testing.assert_allclose(found, np.full(81, -4 * np.log(3)), rtol=1e-6)  # float32
    assert np.exp(found.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


def test_draws_are_integers_of_every_code_alike():
    draws = uniform((2, 2), 5).sample(5_000, seed=[1, 2])
    assert draws.dtype == tf.int32 and draws.shape == (5_000, 2, 2)
    frequency = (draws.numpy()[..., None] == np.arange(5)).mean(axis=0)
    assert np.all(np.abs(frequency - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 5_000))  # 20 numbers within five standard errors
