"""tfdgm cache          what the cache of compiled programs holds, and where
tfdgm cache clear    removes it

Programs that XLA compiles are kept for each version of TensorFlow and each processor, at most 1 GiB of each; the ones
used longest ago go first. The variable TFDGM_CACHE names another folder, or is "off".
"""

from collections.abc import Sequence

from absl import flags

from tfdgm.errors import UserError, did_you_mean
from tfdgm.system import program_cache
from tfdgm.system.console import print_table

POSITIONAL = True


def define_flags(values: flags.FlagValues) -> None:
    """The command has no flags of its own."""


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    action, *rest = positional or ["show"]
    if rest or action not in ("show", "clear"):
        raise UserError(f"there is no tfdgm cache {' '.join(positional)}. {did_you_mean(action, ('show', 'clear'))}")
    base = program_cache.root()
    if base is None:
        print(f"the cache is off ({program_cache.VARIABLE}={program_cache.OFF})")
        return 0
    if action == "clear":
        try:
            program_cache.check_private(base)
        except program_cache.Unusable as reason:
            raise UserError(f"nothing was removed: {reason}") from None
        program_cache.clear(base)
    current = program_cache.store_name()
    rows = [
        (f"{name}{' (this machine)' if name == current else ''}", count, f"{size / 2**20:.1f} MiB")
        for name, count, size in program_cache.stores(base)
    ]
    print_table(("store", "programs", "size"), rows, f"compiled programs in {base}")
    return 0
