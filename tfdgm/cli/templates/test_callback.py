"""KIND.NAME: the conformance checks of tfdgm, and its own mathematics."""

from types import SimpleNamespace

import pytest
from tfdgm.testing import CallbackTests

from example_module import ExamplePlugin


class TestConformance(CallbackTests):
    @pytest.fixture
    def plugin(self):
        return ExamplePlugin


def test_it_reports_once_that_the_loss_is_below_the_bound():
    said: list[str] = []
    callback = ExamplePlugin(bound=2.0)
    callback.on_start(SimpleNamespace(say=said.append))
    for step, loss in enumerate([3.0, 1.0, 0.5]):
        callback.on_loop_end(step, {"loss": loss})
    assert said == ["the loss is below 2 at step 1"]
