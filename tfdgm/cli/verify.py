"""An oracle is a number that is known exactly: by a closed form, an enumeration, or a computation independent of tfdgm.
Every oracle tests the components that training and evaluation use. docs/verify.md has the formulas and their sources.
The exit code is 0 if every number is within its tolerance, and 1 otherwise.
"""

import fnmatch
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from absl import flags

from tfdgm.errors import UserError, did_you_mean
from tfdgm.system.durations import duration
from tfdgm.system.runtime import import_tensorflow

if TYPE_CHECKING:
    from tfdgm.verification.oracle import Finding, Oracle

_ROW = "{:<58} {:>14} {:>14} {:>9}  {:<32} {}"


EXAMPLES = (
    "tfdgm verify --list",
    "tfdgm verify --only=flow --only='gumbel.*'",
)


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "only", [], "only oracles whose name contains this pattern, such as flow or gumbel.*; may be repeated",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_bool("list", False, "print the oracles and their formulas, and stop", flag_values=values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    began = time.monotonic()
    import_tensorflow()
    from tfdgm.verification.catalogue import ORACLES

    oracles = chosen(ORACLES, values.only)
    if values.list:
        for oracle in oracles:
            print(f"{oracle.name:<36} {oracle.formula}")
        return 0
    print(_ROW.format("name", "expected", "got", "tolerance", "estimator", "ok"))
    count, missed = 0, []
    for name, finding in findings(oracles):
        count += 1
        print(row(name, finding), flush=True)
        if not finding.ok:
            missed.append(name)
    print(f"{count} numbers of {len(oracles)} oracles in {duration(time.monotonic() - began)}: ", end="")
    print(f"{len(missed)} missed: {', '.join(dict.fromkeys(missed))}" if missed else "all as expected")
    return 1 if missed else 0


def chosen(oracles: Sequence["Oracle"], patterns: Sequence[str]) -> list["Oracle"]:
    """Return the oracles whose name contains one of the patterns, or all if there is no pattern.

    Raises:
      UserError: a pattern matches no oracle.
    """
    names = [oracle.name for oracle in oracles]
    matching: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(names, f"*{pattern}*")
        if not found:
            raise UserError(f"--only: no oracle has {pattern!r} in its name. {did_you_mean(pattern, names)}")
        matching.update(found)
    return [oracle for oracle in oracles if oracle.name in matching or not patterns]


def findings(oracles: Sequence["Oracle"]) -> Iterator[tuple[str, "Finding"]]:
    """Yield the findings of the oracles as they are computed; an oracle that raises an error has missed."""
    from tfdgm.verification.oracle import Finding

    for oracle in oracles:
        try:
            for finding in oracle.check():
                yield oracle.name, finding
        except UserError:  # a plugin is missing or broken
            raise
        except Exception as error:
            yield oracle.name, Finding(f"{type(error).__name__}: {error}", 0.0, float("nan"), 0.0, "broke")


def row(name: str, finding: "Finding") -> str:
    """Return one line of the table."""
    relation = "" if finding.relation == "=" else f"{finding.relation} "
    return _ROW.format(
        f"{name} {finding.case}", f"{relation}{finding.expected:.6g}", f"{finding.got:.6g}",
        f"{finding.tolerance:.1e}", finding.estimator, "yes" if finding.ok else "NO",
    )  # fmt: skip
