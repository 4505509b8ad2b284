"""Print the public API with its signatures: `python tools/public_api.py > docs/public_api.txt`."""

import dataclasses
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import tfdgm


def lines() -> Iterator[str]:
    """Yield a line for each public name, and for each public method and attribute of a class."""
    for name in sorted(tfdgm.__all__):
        if name.startswith("__"):
            continue
        value = getattr(tfdgm, name)
        if inspect.isclass(value):
            yield f"class {name}{_parameters(value)}"
            yield from (f"    {line}" for line in _members(value))
        elif inspect.isfunction(value):
            yield f"{name}{_signature(value)}"
        else:
            yield f"{name}: {value if isinstance(value, int) else 'a type'}"


def _members(cls: type) -> Iterator[str]:
    for name in sorted(vars(cls)):
        if name.startswith("_") and name != "__call__":
            continue
        value = inspect.getattr_static(cls, name)
        if isinstance(value, classmethod):
            value = value.__func__
        if isinstance(value, property) or type(value).__name__ == "cached_property":
            yield f"{name}: property"
        elif inspect.isfunction(value):
            yield f"{name}{_signature(value)}"
        elif not dataclasses.is_dataclass(cls):
            yield f"{name} = {value!r}" if isinstance(value, (bool, int, float, str, tuple, type(None))) else name


def _parameters(cls: type) -> str:
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    own = ("__init__" in vars(cls) and not getattr(cls, "_is_protocol", False)) or dataclasses.is_dataclass(cls)
    return f"{f'({bases})' if bases else ''}{_signature(cls) if own else ''}"


def _signature(value: Any) -> str:
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return "(...)"
    shown, keyword = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword:
            shown.append("*")
        keyword = keyword or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        mark = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        shown.append(f"{mark}{parameter.name}{'' if parameter.default is parameter.empty else '=...'}")
    return f"({', '.join(shown)})"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
