"""Flags of the commands that read or write a folder."""

from absl import flags

from tfdgm.runs import data_identity
from tfdgm.system import locks, ownership


def define_trust_flag(values: flags.FlagValues) -> None:
    """Define the flag that accepts a folder of another user."""
    name = ownership.FLAG.lstrip("-")
    flags.DEFINE_bool(
        name, False, "accept a folder that belongs to another user, or whose subfolders are links", flag_values=values
    )


def define_data_flag(values: flags.FlagValues) -> None:
    """Define the flag that accepts other data than that of the run."""
    name = data_identity.FLAG.lstrip("-")
    flags.DEFINE_bool(name, False, "accept data that differs from that of the checkpoint", flag_values=values)


def define_holding_flags(values: flags.FlagValues) -> None:
    """Define the flags of commands that hold a folder while they write to it."""
    define_trust_flag(values)
    name = locks.FLAG.lstrip("-")
    flags.DEFINE_bool(name, False, "do not lock the folder, for file systems without locks", flag_values=values)


def holding_flags(values: flags.FlagValues) -> list[str]:
    """Return those of these flags that are set, to pass them on to child processes."""
    return [flag for flag in (ownership.FLAG, locks.FLAG) if values[flag.lstrip("-")].value]
