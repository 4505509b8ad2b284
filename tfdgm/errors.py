"""Errors with a message for the user, and suggestions for misspelt names."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct: one message on stderr, exit code 2, no traceback."""


class NonFiniteError(Exception):
    """Training produced NaN or infinity; the message names the player, the tensor and the step. Exit code 1."""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names similar to this one, the most similar first."""
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the most similar known names, or lists all if none is similar."""
    known = sorted(known)
    near = nearest(name, known)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Known: {', '.join(known)}." if known else "None is installed."
