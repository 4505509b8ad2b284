"""The number of devices does not change the result."""

import pytest
from replicated import KINDS, largest_difference, train


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_1_2_and_4_devices_give_the_same_weights(kind, tmp_path):
    one, two, four = (train(tmp_path / str(replicas), kind, replicas) for replicas in (1, 2, 4))
    for many in (two, four):
        difference, name = largest_difference(one, many)
        assert difference < 1e-5, name  # float32 sums in another order, after 50 steps
