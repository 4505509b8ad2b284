"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

from types import SimpleNamespace

import numpy as np
import pytest
from tfdgm.testing import ScoreTests

from example_module import ExamplePlugin


class TestConformance(ScoreTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_it_is_the_root_mean_square_of_differences_of_means():
    examples, generated = np.array([[0.0, 0.0], [2.0, 2.0]]), np.array([[4.0, 1.0], [4.0, 1.0]])  # means 1, 1 and 4, 1
    run = SimpleNamespace(comparison=SimpleNamespace(flat=lambda: (examples, generated)))
    assert ExamplePlugin().compute(run) == {"NAME": pytest.approx(np.sqrt(9 / 2))}
