"""The meaning of one number that a score reports. Does not import TensorFlow, since pages of studies need it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Quantity:
    """The meaning of one number of `eval.json`.

    Attributes:
      unit: such as "nats per example"; empty for counts.
      formula: one line, in the symbols of docs/evaluation.md.
      better: whether "larger" or "smaller" values are better; None if neither is.
      samples: the numbers of draws and examples that it is computed from, if they matter.
      bias: of the estimate, if it has one.
      main: whether the short tables of studies show it.
      count: whether it tells how many draws or examples another number comes from; tables of studies omit it.
    """

    unit: str
    formula: str
    better: Literal["larger", "smaller"] | None = None
    samples: str = ""
    bias: str = ""
    main: bool = False
    count: bool = False

    @property
    def arrow(self) -> str:
        """The direction in which it is better: ↑, ↓ or an empty string."""
        return {"larger": "↑", "smaller": "↓", None: ""}[self.better]

    @classmethod
    def parsed(cls, value: Any) -> "Quantity | None":
        """Return the quantity of a JSON object with these attributes, or None if it is not one; others are ignored."""
        if not isinstance(value, Mapping):
            return None
        types: dict[str, type] = {"samples": str, "bias": str, "main": bool, "count": bool, "unit": str, "formula": str}
        given = {name: value[name] for name in types if name in value}
        better = value.get("better")
        if not {"unit", "formula"} <= set(given) or better not in ("larger", "smaller", None):
            return None
        if any(not isinstance(each, types[name]) for name, each in given.items()):
            return None
        return cls(better=better, **given)
