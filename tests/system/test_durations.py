"""Durations as a person says them."""

import pytest

from tfdgm.system.durations import duration


@pytest.mark.parametrize(
    "seconds, words",
    [
        (-1.0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3_599.6, "1 h 00 min"),
        (3_900, "1 h 05 min"),
        (86_399, "23 h 59 min"),
        (2 * 86_400 + 3 * 3_600 + 59, "2 d 03 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds, words):
    assert duration(seconds) == words
