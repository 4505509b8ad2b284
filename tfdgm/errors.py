"""Errors that belong to the user, and how a near miss is suggested."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend: one message on stderr, exit code 2, no traceback."""


class NonFiniteError(Exception):
    """Training met NaN or infinity; the message names the player, the tensor and the step. Exit code 1."""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most three names that this one may be a slip of, the nearest first."""
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known names, or all of them where none is near."""
    known = sorted(known)
    near = nearest(name, known)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Known: {', '.join(known)}." if known else "None is installed."
