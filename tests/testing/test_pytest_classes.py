"""The classes in a test file of a third party, collected and run by pytest itself; and importing without pytest."""

import subprocess
import sys

import pytest

from tfdgm.contracts.registry import KINDS
from tfdgm.errors import UserError
from tfdgm.testing import pytest_classes
from tfdgm.testing.catalogue_of_checks import checks_of

TEST_FILE = """
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import tfdgm.testing
from tfdgm import Likelihood


class Laplace(Likelihood):
    plugin_api = 1

    def __init__(self, *, scale=0.5):
        self.scale = scale

    def output_shape(self, data):
        return data.shape

    def build(self, context):
        self.event_rank = len(context.data.shape)

    def distribution(self, outputs):
        return tfd.Independent(tfd.Laplace(outputs, self.scale), self.event_rank)


class TestLaplace(tfdgm.testing.LikelihoodTests):
    expected_failures = {
        "plugin_api_is_this_version": "written for the first",
        "defaults_fit_their_annotations": "they do fit",
    }

    @pytest.fixture
    def plugin(self):
        return lambda: Laplace(scale=0.3)
"""


def run(*command, cwd):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=cwd, timeout=300)


def test_a_class_with_a_factory_runs_one_test_per_check(tmp_path):
    (tmp_path / "test_laplace.py").write_text(TEST_FILE)
    done = run("-m", "pytest", "-p", "no:cacheprovider", "-rA", "-v", "test_laplace.py", cwd=tmp_path)
    lines = done.stdout.splitlines()
    for check in checks_of("likelihood"):
        assert any(f"TestLaplace::test_{check.name} " in line for line in lines), check.name
    status = {
        check.name: [line for line in lines if f"::test_{check.name}" in line] for check in checks_of("likelihood")
    }
    assert any("XFAIL" in line for line in status["plugin_api_is_this_version"])
    assert any("FAILED" in line for line in status["defaults_fit_their_annotations"])
    assert any("FAILED" in line for line in status["parameters_are_annotated"])
    assert any("PASSED" in line for line in status["likelihood_is_normalised"])
    assert any("SKIPPED" in line for line in status["steps_move_the_variables"])
    assert "scale has no annotation" in done.stdout and "cure: Annotate every parameter" in done.stdout
    assert "they do fit; remove that entry" in done.stdout
    assert "2 failed" in lines[-1] and "1 xfailed" in lines[-1]


def test_an_expected_failure_of_an_unknown_check_is_refused_when_the_class_is_made():
    with pytest.raises(
        UserError, match=r"TestMine.expected_failures: no check 'calls_repeet'. Did you mean 'calls_rep"
    ):
        type("TestMine", (pytest_classes.PriorTests,), {"expected_failures": {"calls_repeet": "a reason"}})


def test_there_is_a_class_for_every_kind():
    for kind in KINDS:
        made = getattr(pytest_classes, f"{kind.capitalize()}Tests")
        tests = {name for name in dir(made) if name.startswith("test_")}
        assert tests == {f"test_{each.name}" for each in checks_of(kind)}


def test_the_kit_needs_neither_tensorflow_nor_pytest_until_it_is_used(tmp_path):
    code = """
import sys
import tfdgm.testing
assert "tensorflow" not in sys.modules and "pytest" not in sys.modules
sys.modules["pytest"] = None  # as if it were not installed
tfdgm.testing.PriorTests
from tfdgm.testing.catalogue_of_checks import checks_of
"""
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
