"""Standard JSON, with non-finite floats as the strings of Protobuf's JSON mapping."""

import json
import math
from typing import Any

#: Non-finite floats by their strings (Protocol Buffers, "ProtoJSON format").
NON_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def dumps(value: Any, indent: int | None = None) -> str:
    """Return the JSON text of a value, with "Infinity", "-Infinity" and "NaN" for floats that are not finite."""
    return json.dumps(_encoded(value), indent=indent, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """Parse JSON as `dumps` writes it.

    Strings are returned as strings; `number` converts those that stand for a float.

    Raises:
      ValueError: the text is not JSON in UTF-8, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def number(value: Any) -> float | int | None:
    """Return the number that a parsed value represents, or None."""
    if isinstance(value, str):
        return NON_FINITE.get(value)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _encoded(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, float_ in NON_FINITE.items() if str(float_) == str(float(value)))
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, (list, tuple)) else value
