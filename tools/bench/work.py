"""What a contender gives: a function to time, and how often one call of it does what is timed."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Size:
    """How large a measurement is.

    Attributes:
      quick: whether everything is tiny: a test that every part works, whose figures mean nothing.
    """

    quick: bool = False

    def of(self, full: int, quick: int) -> int:
        """Return the first number, or the second in a quick run."""
        return quick if self.quick else full


@dataclasses.dataclass(frozen=True)
class Work:
    """A computation that is ready to be timed.

    Attributes:
      call: does it and waits for the result, a number that is finite.
      units: steps, draws or positions in one call.
    """

    call: Callable[[], float]
    units: int = 1
