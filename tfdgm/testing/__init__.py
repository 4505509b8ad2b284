"""A conformance kit for plugins: pytest classes, one per kind, and the same checks for `tfdgm plugins check`.

    import pytest
    import tfdgm.testing

    class TestMyPrior(tfdgm.testing.PriorTests):
        @pytest.fixture
        def plugin(self):
            return lambda: MyPrior(size=3)  # a fresh instance per call

Every test is one check. A check that does not apply is skipped with the reason. A check that a plugin cannot meet is
declared by name in the class attribute `expected_failures = {"check": "reason"}`; once it passes, the test fails.

Names are resolved on first use: importing this package imports neither TensorFlow nor pytest.
"""

import importlib
from typing import Any

_HOME = {
    **{
        f"{kind}Tests": "tfdgm.testing.pytest_classes"
        for kind in ("Prior", "Posterior", "Objective", "Likelihood", "Network", "Data", "Score", "Callback")
    },
    "CheckFailed": "tfdgm.testing.checks",
    "checks_of": "tfdgm.testing.catalogue_of_checks",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tfdgm.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
