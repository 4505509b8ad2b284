"""Decide whether two configurations describe the same run."""

import difflib
import re
from typing import TYPE_CHECKING

from tfdgm.errors import UserError
from tfdgm.runs.experiment_arguments import free_arguments

if TYPE_CHECKING:  # it imports NumPy, which most commands do not need
    from tfdgm.runs.checkpoint_files import Checkpoint


def differences(saved: str, requested: str) -> list[str]:
    """Return a diff of the lines that determine a run's results; empty if both describe the same run."""
    before, after = _fixed(saved), _fixed(requested)
    changes = difflib.unified_diff(before, after, "in the workdir", "requested", lineterm="", n=0)
    return [line for line in changes if not line.startswith("@@")]


def check_config(checkpoint: "Checkpoint", config: str | None) -> None:
    """Check that a checkpoint belongs to a configuration; either may be unknown.

    Raises:
      UserError: the configurations describe different runs.
    """
    if checkpoint.config is None or config is None:
        return
    changes = differences(checkpoint.config, config)
    if changes:
        raise UserError(
            f"the checkpoint of step {checkpoint.step} is of a run of another configuration:\n  " + "\n  ".join(changes)
        )


def _fixed(config: str) -> list[str]:
    """Return the lines of a configuration that a resumed run must not change."""
    free = re.compile(rf"experiment\.({'|'.join(free_arguments())}) = |([\w./]+/)?(callback|score)\.")
    statements = re.split(r"\n(?=\S)", config)  # lines that continue a statement are indented
    fixed = [text for text in statements if not free.match(text)]
    while unread := [text for text in fixed if _is_unread_macro(text, fixed)]:  # a macro may be read by another
        fixed = [text for text in fixed if text not in unread]
    return [line.strip() for text in fixed for line in text.splitlines() if line.strip()]


def _is_unread_macro(statement: str, statements: list[str]) -> bool:
    """Return whether a statement sets a macro that none of these statements reads."""
    macro = re.match(r"([\w/]+) = ", statement)
    return macro is not None and not any(re.search(rf"%{re.escape(macro[1])}(?![\w/])", text) for text in statements)
