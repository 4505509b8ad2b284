"""Every check catches a plugin with its fault, and says what is wrong with it."""

from types import NoneType

import pytest
from broken import BROKEN

from tfdgm.contracts.registry import KINDS
from tfdgm.errors import PluginFault
from tfdgm.testing.catalogue_of_checks import MODULES, checks_of
from tfdgm.testing.checks import REGISTERED, CheckFailed, Subject, run, with_expectation

CHECKS = {each.name: each for each in REGISTERED}


def test_for_every_check_there_is_a_broken_plugin():
    assert set(BROKEN) == set(CHECKS)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_fails_the_check_of_its_fault(name):
    kind, factory, words = BROKEN[name]
    assert kind in CHECKS[name].kinds
    outcome = run(CHECKS[name], Subject(kind, factory))
    # found by the check, or refused by tfdgm itself in its own words, and not by a crash
    assert outcome.status == "fail" and isinstance(outcome.error, (NoneType, PluginFault)), outcome.reason
    assert words in outcome.reason.replace('"', "") and " raised " not in outcome.reason
    assert outcome.error is not None or "; wanted: " in outcome.reason


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_checks_with_a_name_a_demand_and_a_cure(kind):
    checks = checks_of(kind)
    assert len({each.name for each in checks}) == len(checks) > 7
    assert all(each.demand.endswith(".") and each.cure.endswith(".") for each in checks)


def test_every_module_of_checks_is_in_the_catalogue():
    assert {each.function.__module__ for each in REGISTERED} == {module.__name__ for module in MODULES}


def test_an_exception_of_the_plugin_is_a_failure_that_names_its_line():
    def make():
        raise ZeroDivisionError("by zero")

    outcome = run(CHECKS["plugin_api_is_this_version"], Subject("prior", make))
    assert outcome.status == "fail" and isinstance(outcome.error, ZeroDivisionError)
    assert "ZeroDivisionError: by zero" in outcome.reason and "test_checks.py, line" in outcome.reason


def test_an_expected_failure_is_one_until_the_check_passes():
    check = CHECKS["plugin_api_is_this_version"]
    expected = {check.name: "waits for its authors"}
    failing = run(check, Subject(*BROKEN[check.name][:2]))
    assert with_expectation(failing, {}).status == "fail"
    assert with_expectation(failing, expected).status == "expected failure"
    kind, factory, _ = BROKEN["no_attribute_is_misspelt"]
    passing = run(check, Subject(kind, factory))
    assert passing.status == "pass"
    assert with_expectation(passing, expected).status == "fail"
    assert "waits for its authors" in with_expectation(passing, expected).reason


def test_a_failed_check_is_an_assertion_error():
    with pytest.raises(AssertionError, match=r"prior.distribution: three; wanted: four"):
        Subject("prior", _Named).fail("distribution", "three", "four")
    assert issubclass(CheckFailed, AssertionError)


class _Named:
    pass


_Named.__name__ = "prior"
