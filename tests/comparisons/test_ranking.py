"""Which groups are best or tied."""

import math

import pytest
from scipy.stats import ttest_ind

from tfdgm import Quantity
from tfdgm.comparisons.ranking import marks, welch_p_value

LARGER, SMALLER, NEITHER = (Quantity("", "", better) for better in ("larger", "smaller", None))


def test_the_p_value_is_that_of_scipy():
    first, second = [1.0, 2.5, 2.0, 4.0], [0.5, 0.7, 0.2]
    assert welch_p_value(first, second) == pytest.approx(ttest_ind(first, second, equal_var=False).pvalue, rel=1e-12)
    assert welch_p_value([1.0, 1.0], [1.0, 1.0]) == 1 and welch_p_value([1.0, 1.0], [2.0, 2.0]) == 0


@pytest.mark.parametrize(
    "groups, quantity, expected",
    [
        ([[1.0], [2.0]], LARGER, ["", "best"]),
        ([[1.0], [2.0]], SMALLER, ["best", ""]),
        ([[1.0], [2.0]], NEITHER, ["", ""]),
        ([[2.0], [2.0], [1.0]], LARGER, ["best", "best", ""]),
        ([[1.0, 3.0], [2.0, 4.0], [-90.0, -91.0]], LARGER, ["tied", "best", ""]),
        ([[1.0], [2.0, 2.1]], LARGER, ["", "best"]),
        ([[2.0], []], LARGER, ["", ""]),
        ([[math.inf], [2.0], [1.0]], LARGER, ["", "best", ""]),
        ([[math.nan, 1.0], [2.0, 2.0], [1.0, 1.0]], LARGER, ["", "best", ""]),
    ],
)
def test_marks(groups, quantity, expected):
    assert marks(groups, quantity) == expected
