"""Names of a plugin that are nearly those of its contract."""

import difflib
import typing
from collections.abc import Iterable

#: Similarity (difflib's ratio) from which a name is taken for a misspelling of another.
_CLOSE = 0.85


def misspelt(plugin: type, contract: type, attributes: Iterable[str] = ()) -> tuple[str, str] | None:
    """Return a name that a plugin defines, and the name of its contract that it almost is; None if there is none.

    A misspelt attribute or method overrides nothing, so that the contract's default stays in force without a word.

    Args:
      plugin: the class.
      contract: its contract.
      attributes: names of an instance, in addition to those of the class.
    """
    own = {name for cls in plugin.__mro__ if not issubclass(contract, cls) for name in vars(cls)} | set(attributes)
    known = {name for name in dir(contract) if not name.startswith("_")}
    known |= set(typing.get_type_hints(contract)) | {"plugin_api"}
    missing = known - own  # a class that defines both names has misspelt neither
    for name in sorted(own - known):
        near = [] if name.startswith("_") else difflib.get_close_matches(name, missing, n=1, cutoff=_CLOSE)
        if near:
            return name, near[0]
    return None
