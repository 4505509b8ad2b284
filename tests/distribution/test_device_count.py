"""The number of devices does not change the result."""

import pytest
from replicated import KINDS, largest_difference, train


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_1_2_and_4_devices_give_the_same_weights(kind, tmp_path):
    one = train(tmp_path / "1", kind, 1)
    for replicas in {"vae": (2, 4), "wgan_gp": (4,)}.get(kind, (2,)):  # each replica costs compilations of its own
        difference, name = largest_difference(one, train(tmp_path / str(replicas), kind, replicas))
        assert difference < 1e-5, name  # float32 sums in another order, after 50 steps
