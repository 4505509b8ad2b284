"""Decide whether two configurations describe the same run."""

import difflib
import re
from typing import TYPE_CHECKING

from tfdgm.errors import UserError
from tfdgm.runs.experiment_arguments import extendable_arguments, free_arguments

if TYPE_CHECKING:  # it imports NumPy, which most commands do not need
    from tfdgm.runs.checkpoint_files import Checkpoint


#: The flag that continues a run under another schedule.
EXTEND = "--extend"
#: An absolute path of data. Its fingerprint identifies the data, and not the place where it is stored.
_DATA_FILE = re.compile(r"((?:[\w./]+/)?data\.[\w.]+ = )(?:\\\s*)?\(?['\"]/")


def differences(saved: str, requested: str, extending: bool = False) -> list[str]:
    """Return a diff of the lines that determine a run's results; empty if both describe the same run.

    Args:
      saved: the configuration of the run.
      requested: the configuration to compare.
      extending: whether to ignore what affects further steps only: their number, optimizers, schedules, validation.
    """
    before, after = _fixed(saved, extending), _fixed(requested, extending)
    changes = difflib.unified_diff(before, after, "in the workdir", "requested", lineterm="", n=0)
    return [line for line in changes if not line.startswith("@@")]


def refusal(saved: str, requested: str, extending: bool, holder: str) -> str | None:
    """Return why a run must not continue under a configuration, or None if it may.

    Args:
      saved: the configuration of the run.
      requested: the configuration to continue under.
      extending: whether the run is extended.
      holder: what has the saved configuration, for the message.
    """
    changes = differences(saved, requested, extending)
    if not changes:
        return None
    lines = "\n  " + "\n  ".join(changes)
    if extending:
        may = ", ".join(f"experiment.{name}" for name in extendable_arguments())
        return (
            f"{holder} of another configuration, which {EXTEND} does not allow: only {may}, optimizers, schedules, and "
            f"what may change on resuming can differ, but these lines do:{lines}"
        )
    if not differences(saved, requested, extending=True):
        return (
            f"{holder} of another configuration; to continue the run under the new one add {EXTEND}, or omit the "
            f"settings that differ:{lines}"
        )
    return f"{holder} of another configuration; use another --workdir, or omit the settings that differ:{lines}"


def of_config(checkpoint: "Checkpoint", config: str | None) -> bool:
    """Return whether a checkpoint is known to belong to a run of this configuration."""
    return checkpoint.config is not None and config is not None and not differences(checkpoint.config, config)


def check_config(checkpoint: "Checkpoint", config: str | None, extending: bool = False) -> None:
    """Check that a checkpoint belongs to a configuration; either may be unknown.

    Args:
      checkpoint: a checkpoint of the run.
      config: the configuration.
      extending: see `differences`.

    Raises:
      UserError: the configurations describe different runs.
    """
    if checkpoint.config is None or config is None:
        return
    holder = f"the checkpoint of step {checkpoint.step} is of a run"
    if message := refusal(checkpoint.config, config, extending, holder):
        raise UserError(message)


def _fixed(config: str, extending: bool) -> list[str]:
    """Return the lines of a configuration that a resumed or an extended run must not change."""
    arguments, others = free_arguments(), r"([\w./]+/)?(callback|score)\."
    if extending:
        arguments = (*arguments, *extendable_arguments())
        others += r"|([\w./]+/)?(keras\.optimizers\.|objective\.[\w.]+\.optimizer = )"
    free = re.compile(rf"experiment\.({'|'.join(arguments)}) = |{others}")
    statements = re.split(r"\n(?=\S)", config)  # lines that continue a statement are indented
    fixed = [text for text in statements if not free.match(text)]
    fixed = [f"{match[1]}a file" if (match := _DATA_FILE.match(text)) else text for text in fixed]
    while unread := [text for text in fixed if _is_unread_macro(text, fixed)]:  # a macro may be read by another
        fixed = [text for text in fixed if text not in unread]
    return [line.strip() for text in fixed for line in text.splitlines() if line.strip()]


def _is_unread_macro(statement: str, statements: list[str]) -> bool:
    """Return whether a statement sets a macro that none of these statements reads."""
    macro = re.match(r"([\w/]+) = ", statement)
    return macro is not None and not any(re.search(rf"%{re.escape(macro[1])}(?![\w/])", text) for text in statements)
