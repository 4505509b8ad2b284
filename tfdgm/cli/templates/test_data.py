"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

import numpy as np
import pytest
from tfdgm.testing import DataTests

from example_module import ExamplePlugin


class TestConformance(DataTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_the_points_lie_around_the_unit_circle():
    source = ExamplePlugin(noise=0.01).splits()["train"]
    radius = np.linalg.norm(source.gather(np.arange(len(source))), axis=1)
    assert radius.mean() == pytest.approx(1.0, abs=1e-3)  # 10 standard errors of 10,000 points
    assert radius.std() == pytest.approx(0.01, rel=0.05)
