"""One pytest class per kind, with one test per check.

A subclass in a test file defines the fixture `plugin`, which returns a factory of fresh instances.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tfdgm.errors import UserError, did_you_mean
from tfdgm.testing.catalogue_of_checks import checks_of
from tfdgm.testing.checks import ConformanceCheck, Subject, run, with_expectation


class PluginTests:
    """Base of the classes: `test_NAME` for each check NAME of the kind.

    Attributes:
      kind: the kind of plugin.
      expected_failures: names of checks that the plugin cannot meet, with reasons; such a test fails once it passes.
    """

    kind: ClassVar[str]
    expected_failures: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        known = {each.name: each for each in checks_of(cls.kind)}
        for name in cls.expected_failures:
            if name not in known:
                raise UserError(f"{cls.__name__}.expected_failures: no check {name!r}. {did_you_mean(name, known)}")
        if "kind" in vars(cls):
            for each in known.values():
                setattr(cls, f"test_{each.name}", _test(each))


def _test(checked: ConformanceCheck) -> Callable[..., None]:
    def test(self: PluginTests, plugin: Callable[[], Any]) -> None:
        import pytest

        outcome = with_expectation(run(checked, Subject(self.kind, plugin)), self.expected_failures)
        if outcome.status == "skip":
            pytest.skip(outcome.reason)
        if outcome.status == "expected failure":
            pytest.xfail(outcome.reason)
        if outcome.status == "fail":
            if outcome.error is not None:
                raise outcome.error  # with the plugin's own traceback
            pytest.fail(f"{outcome.reason}\n\ndemand: {checked.demand}\ncure: {checked.cure}", pytrace=False)

    test.__doc__ = checked.demand
    return test


class PriorTests(PluginTests):
    """Checks of a prior."""

    kind = "prior"


class PosteriorTests(PluginTests):
    """Checks of a posterior."""

    kind = "posterior"


class LikelihoodTests(PluginTests):
    """Checks of a likelihood."""

    kind = "likelihood"


class ObjectiveTests(PluginTests):
    """Checks of an objective."""

    kind = "objective"


class NetworkTests(PluginTests):
    """Checks of a network."""

    kind = "network"


class DataTests(PluginTests):
    """Checks of a data set."""

    kind = "data"


class ScoreTests(PluginTests):
    """Checks of a score."""

    kind = "score"


class CallbackTests(PluginTests):
    """Checks of a callback."""

    kind = "callback"
