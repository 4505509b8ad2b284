"""Read `--vary='NAME = VALUES'`: what a sweep varies, and the values or the range of each."""

import ast
import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

from tfdgm.configuration.gin_grammar import Binding, Reference, parse, parse_value
from tfdgm.errors import UserError

#: `linear(0, 1)`, and the same with further arguments.
_RANGE = re.compile(r"(log|linear|integers)\s*(\(.*\))", re.DOTALL)
_USAGE = (
    "expected values, as in '2, 4, 8' or '@prior.gaussian(), @prior.maf()', or one of linear(LOW, HIGH[, COUNT]), "
    "log(LOW, HIGH[, COUNT]) and integers(LOW, HIGH[, STEP])"
)
_MOST_VALUES = 10_000


@dataclasses.dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`, both included.

    Attributes:
      log: whether equal ratios, not equal differences, are equally likely.
      step: between integers; None for real numbers.
    """

    low: float
    high: float
    log: bool = False
    step: int | None = None

    def __str__(self) -> str:
        if self.step is not None:
            return f"integers({self.low}, {self.high}, {self.step})"
        return f"{'log' if self.log else 'linear'}({self.low}, {self.high})"


@dataclasses.dataclass(frozen=True)
class Varied:
    """One setting that a sweep varies.

    Attributes:
      name: of a parameter, a macro or an argument of the experiment, as in configs.
      values: gin texts, if they can be counted.
      interval: the range, if it is one. A search draws from the range of integers or of real numbers without a count,
        else from `values`.
    """

    name: str
    values: tuple[str, ...] = ()
    interval: Interval | None = None

    @property
    def chooses_plugins(self) -> bool:
        """Return whether its values are references, which decide what other parameters exist."""
        return any(isinstance(parse_value(value), Reference) for value in self.values)

    @property
    def selector(self) -> str | None:
        """Return the configurable whose parameter it is; None for a macro, which every cell has."""
        (binding,) = parse(f"{self.name} = None", "--vary")
        assert isinstance(binding, Binding)
        return binding.selector if binding.parameter else None


def read_varied(texts: Sequence[str]) -> list[Varied]:
    """Return what the flags `--vary` vary, in order.

    Raises:
      UserError: one is not `NAME = VALUES`, a range is empty or backwards, or a name is given twice.
    """
    found = [_read(text) for text in texts]
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--vary: {name} is given twice; write all its values in one flag")
    return found


def _read(text: str) -> Varied:
    name, equals, right = (part.strip() for part in text.partition("="))
    if not equals or not name or not right:
        raise UserError(f"--vary: {text!r} is not NAME = VALUES; {_USAGE}")
    list(parse(f"{name} = None", f"--vary: {text!r}"))
    if name == "experiment.seed":
        raise UserError("--vary: the seeds are those of --seeds")
    if matched := _RANGE.fullmatch(right):
        return _range(name, text, matched[1], matched[2])
    try:
        values = parse_value(f"[{right}]")
    except UserError:
        raise UserError(f"--vary: {text!r}: {right!r} are not values; {_USAGE}") from None
    distinct = tuple(dict.fromkeys(repr(value) for value in values))
    if not distinct:
        raise UserError(f"--vary: {text!r} has no value; {_USAGE}")
    return Varied(name, distinct)


def _range(name: str, text: str, kind: str, arguments: str) -> Varied:
    try:
        numbers = ast.literal_eval(arguments)
    except (ValueError, SyntaxError):
        numbers = None
    if not isinstance(numbers, tuple) or len(numbers) not in (2, 3) or not all(map(_is_number, numbers)):
        raise UserError(f"--vary: {text!r}: {kind} takes two or three numbers; {_USAGE}")
    low, high, *third = numbers
    if not low < high:
        problem = "backwards" if low > high else "empty"
        raise UserError(f"--vary: {text!r}: the range from {low} to {high} is {problem}; write LOW, HIGH")
    if kind == "log" and low <= 0:
        raise UserError(f"--vary: {text!r}: the numbers of a logarithmic range must be positive, got {low}")
    whole = third if kind != "integers" else numbers
    if not all(isinstance(number, int) for number in whole) or (third and third[0] < 1):
        raise UserError(f"--vary: {text!r}: {_USAGE}; counts, steps and integers are whole numbers from 1 on")
    if kind == "integers":
        step = third[0] if third else 1
        count = (high - low) // step + 1
        _bound(text, count)
        # a search draws from the multiples of the step, so that the last of them is the end
        interval = Interval(low, low + (count - 1) * step, step=step)
        return Varied(name, tuple(str(low + place * step) for place in range(count)), interval)
    interval = Interval(float(low), float(high), log=kind == "log")
    if not third:
        return Varied(name, (), interval)
    _bound(text, third[0])
    if third[0] < 2:
        raise UserError(f"--vary: {text!r}: a range has at least 2 numbers, its ends")
    return Varied(name, tuple(repr(value) for value in _spaced(interval, third[0])), interval)


def _spaced(interval: Interval, count: int) -> list[float]:
    """Return numbers at equal differences or ratios, rounded to 12 digits so that they read well."""
    low, high = (math.log(end) if interval.log else end for end in (interval.low, interval.high))
    inner = [low + (high - low) * place / (count - 1) for place in range(1, count - 1)]
    rounded = [float(f"{math.exp(value) if interval.log else value:.12g}") for value in inner]
    return [interval.low, *rounded, interval.high]


def _bound(text: str, count: int) -> None:
    if count > _MOST_VALUES:
        raise UserError(f"--vary: {text!r} has {count:,} values; at most {_MOST_VALUES:,} are allowed")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
