"""Tell whether two configurations describe the same run."""

import difflib
import re

from tfdgm.errors import UserError
from tfdgm.runs.checkpoint_files import Checkpoint

#: Settings of how a run is carried out, not of what it computes; a resumed run may change them.
_FREE_SETTINGS = tuple(
    f"experiment.{name}"
    for name in (
        "checkpoint_seconds",
        "keep_checkpoints",
        "keep_best",
        "best_is",
        "grace_seconds",
        "callbacks",
        "strategy",
        "replicas",
        "cluster",
        "kubernetes_selector",
        "kubernetes_pods",
        "tpu",
    )
)

_FREE = (*_FREE_SETTINGS, "callback.")


def differences(saved: str, asked: str) -> list[str]:
    """Return a diff of the lines that fix what a run computes; empty where the two describe the same run."""
    before, after = _fixed(saved), _fixed(asked)
    changes = difflib.unified_diff(before, after, "in the workdir", "asked for", lineterm="", n=0)
    return [line for line in changes if not line.startswith("@@")]


def check_config(checkpoint: Checkpoint, config: str | None) -> None:
    """Raises: UserError: a checkpoint is of another configuration than this one."""
    if checkpoint.config is None or config is None:
        return
    changes = differences(checkpoint.config, config)
    if changes:
        raise UserError(
            f"the checkpoint of step {checkpoint.step} is of a run of another configuration:\n  " + "\n  ".join(changes)
        )


def _fixed(config: str) -> list[str]:
    lines = [line.strip() for line in config.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(_FREE) and not _unread_macro(line, config)]


def _unread_macro(line: str, config: str) -> bool:
    """Whether a line sets a macro that nothing reads: such lines have been in configurations."""
    macro = re.match(r"([\w/]+) = ", line)
    return macro is not None and f"%{macro[1]}" not in config
