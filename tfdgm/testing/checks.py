"""A check: what it demands of a plugin, how to meet the demand, and the function that finds out."""

import dataclasses
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tfdgm.contracts.component import Component
from tfdgm.errors import UserError


class CheckFailed(AssertionError):
    """A plugin does not meet a demand; the message names the plugin, the method, what came and what was wanted."""


class NotApplicable(Exception):
    """A check does not apply to a plugin; the message is the reason."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A plugin under check.

    Attributes:
      kind: its kind.
      make: returns a fresh instance.
    """

    kind: str
    make: Callable[[], Any]

    @property
    def name(self) -> str:
        """The plugin's name in messages."""
        made = self.make()
        return made.display_name() if isinstance(made, Component) else type(made).__name__

    def fail(self, method: str, came: str, wanted: str) -> None:
        """Raise `CheckFailed`."""
        where = f"{self.name}.{method}" if method else self.name
        raise CheckFailed(f"{where}: {came}; wanted: {wanted}")

    def require(self, condition: Any, method: str, came: str, wanted: str) -> None:
        """Raise `CheckFailed` unless `condition` holds."""
        if not condition:
            self.fail(method, came, wanted)


@dataclasses.dataclass(frozen=True)
class ConformanceCheck:
    """One demand on all plugins of some kinds.

    Attributes:
      name: with underscores, as pytest shows it after `test_`.
      kinds: the kinds to which it applies.
      demand: one sentence.
      cure: what to change in a plugin that fails it.
      function: raises `CheckFailed` or `NotApplicable`.
    """

    name: str
    kinds: tuple[str, ...]
    demand: str
    cure: str
    function: Callable[[Subject], None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of one check, with the reason unless it passed, and what the plugin raised, if it did."""

    check: ConformanceCheck
    status: Literal["pass", "fail", "skip", "expected failure"]
    reason: str = ""
    error: Exception | None = None


#: All checks, in the order in which they run.
REGISTERED: list[ConformanceCheck] = []


def check(*kinds: str, cure: str) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Register a function as a check of some kinds; its name and the first line of its docstring describe it."""

    def register(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        demand = inspect.cleandoc(function.__doc__ or "").partition("\n")[0]
        REGISTERED.append(ConformanceCheck(function.__name__, kinds, demand, cure, function))
        return function

    return register


def run(checked: ConformanceCheck, subject: Subject) -> Outcome:
    """Run one check; an exception that the plugin raises is a failure."""
    try:
        checked.function(subject)
    except NotApplicable as reason:
        return Outcome(checked, "skip", str(reason))
    except CheckFailed as failure:
        return Outcome(checked, "fail", str(failure))
    except Exception as error:
        return Outcome(checked, "fail", _about(error), error)
    return Outcome(checked, "pass")


def with_expectation(outcome: Outcome, expected_failures: Mapping[str, str]) -> Outcome:
    """Return what an outcome counts as, given the checks that are expected to fail, with reasons."""
    reason = expected_failures.get(outcome.check.name)
    if reason is None or outcome.status == "skip":
        return outcome
    if outcome.status == "fail":
        return Outcome(outcome.check, "expected failure", f"{reason} ({outcome.reason})")
    return Outcome(outcome.check, "fail", f"passes, but expected_failures has it: {reason}; remove that entry")


def _about(error: Exception) -> str:
    """Return a line about an exception: its message, and the plugin's own innermost frame."""
    message = " ".join(str(error).split())
    text = message if isinstance(error, UserError) else f"{type(error).__name__}: {message[:600]}"
    place = place_of(traceback.extract_tb(error.__traceback__))
    return text if isinstance(error, UserError) or place is None else f"{text} ({place})"


_STANDARD_LIBRARY = Path(inspect.__file__).parent
_LIBRARIES = (
    "tfdgm", "tensorflow", "keras", "tf_keras", "tensorflow_probability", "numpy", "decorator", "_pytest", "pluggy",
)  # fmt: skip
_SKIPPED = tuple(
    str(folder)
    for package in _LIBRARIES
    if (spec := importlib.util.find_spec(package)) is not None
    for folder in spec.submodule_search_locations or ()
)


def place_of(frames: Sequence[traceback.FrameSummary]) -> str | None:
    """Return "file, line" of the innermost frame outside of tfdgm and the numerical libraries, or None."""
    for frame in reversed(frames):
        if not frame.filename.startswith(_SKIPPED) and Path(frame.filename).parent != _STANDARD_LIBRARY:
            return f"{frame.filename}, line {frame.lineno}"
    return None
