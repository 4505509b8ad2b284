"""What an oracle is, and what it finds."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Finding:
    """One number.

    Attributes:
      case: what it is a number of, within its oracle.
      expected: the exact value, or the bound.
      got: what the framework computes.
      tolerance: how far it may be off: rounding, or five standard errors of the draws, or what a trained critic leaves.
      estimator: how it was got.
      relation: "=" to the expected value, or "<=" and ">=" where that is a bound.
    """

    case: str
    expected: float
    got: float
    tolerance: float
    estimator: str
    relation: Literal["=", "<=", ">="] = "="

    @property
    def ok(self) -> bool:
        """Never for NaN."""
        if self.got == self.expected:  # infinities, whose difference is NaN
            return True
        excess = self.got - self.expected
        off = {"=": abs(excess), "<=": excess, ">=": -excess}[self.relation]
        return off <= self.tolerance and math.isfinite(self.got)


@dataclasses.dataclass(frozen=True)
class Oracle:
    """A check by name, `THEME.WHAT`."""

    name: str
    check: Callable[[], Iterator[Finding]]

    @property
    def formula(self) -> str:
        """What holds, in one line."""
        return inspect.getdoc(self.check).splitlines()[0]  # type: ignore[union-attr]


#: All that are imported, in the order of their definition.
ORACLES: list[Oracle] = []


def oracle(check: Callable[[], Iterator[Finding]]) -> Callable[[], Iterator[Finding]]:
    """Registers a function as an oracle; the first line of its docstring is the formula."""
    theme = check.__module__.rpartition(".")[2]
    ORACLES.append(Oracle(f"{theme}.{check.__name__}", check))
    return check
