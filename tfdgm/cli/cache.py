"""tfdgm cache          show the contents and the location of the cache
tfdgm cache clear    remove the cache

The cache holds the programs that XLA compiles, in a store for each version of TensorFlow and each processor. A store
has at most 1 GiB; the least recently used programs are evicted. The variable TFDGM_CACHE sets another folder, or "off".
"""

from collections.abc import Sequence

from absl import flags

from tfdgm.errors import UserError, did_you_mean
from tfdgm.system import program_cache
from tfdgm.system.console import print_table

POSITIONAL = True
EXAMPLES = (
    "tfdgm cache",
    "tfdgm cache clear",
)


def define_flags(values: flags.FlagValues) -> None:
    """Define no flags: the command has none of its own."""


def complete(words: Sequence[str]) -> list[str]:
    """Return what may follow `tfdgm cache`."""
    return [] if words else ["show", "clear"]


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    action, *rest = positional or ["show"]
    if rest or action not in ("show", "clear"):
        raise UserError(
            f"there is no command 'tfdgm cache {' '.join(positional)}'. {did_you_mean(action, ('show', 'clear'))}"
        )
    base = program_cache.root()
    if base is None:
        print(f"the cache is off ({program_cache.VARIABLE}={program_cache.OFF})")
        return 0
    if action == "clear":
        try:
            program_cache.check_private(base)
        except program_cache.Unusable as reason:
            raise UserError(f"the cache was not removed: {reason}") from None
        program_cache.clear(base)
    current = program_cache.store_name()
    rows = [
        (f"{name}{' (this machine)' if name == current else ''}", count, f"{size / 2**20:.1f} MiB")
        for name, count, size in program_cache.stores(base)
    ]
    print_table(("store", "programs", "size"), rows, f"compiled programs in {base}")
    return 0
