"""When a finding is within its tolerance, and the naming and documentation of oracles."""

import math

import pytest

from tfdgm.verification.catalogue import ORACLES
from tfdgm.verification.oracle import Finding


@pytest.mark.parametrize(
    "expected, got, relation, ok",
    [
        (1.0, 1.09, "=", True),
        (1.0, 0.91, "=", True),
        (1.0, 1.11, "=", False),
        (1.0, 0.89, "=", False),
        (1.0, -5.0, "<=", True),
        (1.0, 1.09, "<=", True),
        (1.0, 1.11, "<=", False),
        (1.0, 5.0, ">=", True),
        (1.0, 0.91, ">=", True),
        (1.0, 0.89, ">=", False),
        (math.inf, math.inf, "=", True),
        (math.inf, 1e30, "=", False),
        (math.inf, -math.inf, "=", False),
        (1.0, math.inf, "=", False),
        (1.0, math.inf, ">=", False),
        (1.0, -math.inf, "<=", False),
        (1.0, math.nan, "=", False),
        (1.0, math.nan, "<=", False),
        (math.nan, math.nan, "=", False),
    ],
)
def test_a_number_is_ok_within_its_tolerance_on_the_side_it_is_bound_to(expected, got, relation, ok):
    assert Finding("case", expected, got, 0.1, "sum", relation).ok is ok


def test_every_oracle_has_a_name_of_its_own_and_a_formula():
    names = [oracle.name for oracle in ORACLES]
    assert len(set(names)) == len(names) > 30
    for oracle in ORACLES:
        assert oracle.name.count(".") == 1 and oracle.formula.endswith("."), oracle


def test_the_documentation_lists_every_oracle_and_no_other():
    from pathlib import Path

    import tfdgm

    page = (Path(tfdgm.__file__).parents[1] / "docs" / "verify.md").read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert listed == {oracle.name for oracle in ORACLES}
