"""Oracles and their findings."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Finding:
    """An expected and a computed number.

    Attributes:
      case: name of the number within its oracle.
      expected: the exact value or bound.
      got: the value that the framework computes.
      tolerance: largest deviation: rounding, five standard errors of the draws, or the error of a trained critic.
      estimator: how the value was computed.
      relation: "=", or "<=" or ">=" if `expected` is a bound.
    """

    case: str
    expected: float
    got: float
    tolerance: float
    estimator: str
    relation: Literal["=", "<=", ">="] = "="

    @property
    def ok(self) -> bool:
        """Whether the number is within the tolerance; False for NaN."""
        if self.got == self.expected:  # for infinities, whose difference is NaN
            return True
        excess = self.got - self.expected
        deviation = {"=": abs(excess), "<=": excess, ">=": -excess}[self.relation]
        return deviation <= self.tolerance and math.isfinite(self.got)


@dataclasses.dataclass(frozen=True)
class Oracle:
    """A check with a name `THEME.FUNCTION`."""

    name: str
    check: Callable[[], Iterator[Finding]]

    @property
    def formula(self) -> str:
        """The checked statement, in one line."""
        return inspect.getdoc(self.check).splitlines()[0]  # type: ignore[union-attr]


#: All imported oracles, in order of definition.
ORACLES: list[Oracle] = []


def oracle(check: Callable[[], Iterator[Finding]]) -> Callable[[], Iterator[Finding]]:
    """Register a function as an oracle; the first line of its docstring is the formula."""
    theme = check.__module__.rpartition(".")[2]
    ORACLES.append(Oracle(f"{theme}.{check.__name__}", check))
    return check
