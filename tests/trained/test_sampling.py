"""Draws from a model."""

import numpy as np
import pytest
from small import points_experiment

from tfdgm import UserError
from tfdgm.trained.sampling import Sampler, draw


@pytest.mark.slow
def test_a_sampler_draws_what_draw_does_and_follows_the_weights():
    built = points_experiment().build()
    sampler = Sampler(built, 700)  # more than one block
    first = sampler(3)
    assert first.x.shape == (700, 3) and first.z.shape == (700, 2)
    np.testing.assert_array_equal(first.x, draw(built, 700, 3).x)
    bias = built.model.decoder.layers[0].bias
    bias.assign(bias.numpy() + 1.0)
    np.testing.assert_array_equal(sampler(3).z, first.z)
    np.testing.assert_allclose(sampler(3).mean, first.mean + 1.0, rtol=1e-5, atol=1e-5)  # float32


def test_other_seeds_give_other_draws_and_none_is_refused():
    built = points_experiment().build()
    sampler = Sampler(built, 5)
    assert not np.array_equal(sampler(0).z, sampler(1).z)
    with pytest.raises(UserError, match="at least 1"):
        Sampler(built, 0)
