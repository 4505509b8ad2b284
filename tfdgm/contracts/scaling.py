"""An affine change of units: x = (value - center) / scale."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

Method = Literal["standard", "minmax"]


@dataclasses.dataclass(frozen=True)
class Scaling:
    """x = (value - center) / scale, with a center and a scale for each entry of the last axis.

    The density of a value is that of x divided by the product of the scales of all its elements, so that an NLL of
    values is the NLL of x plus `log_volume(shape)` nats.

    Attributes:
      center, scale: of each entry, in the units of the values.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]

    @staticmethod
    def parsed(fields: Mapping[str, Any]) -> "Scaling":
        """Return the scaling whose `dataclasses.asdict` was written as JSON and read again."""
        return Scaling(tuple(fields["center"]), tuple(fields["scale"]))

    @staticmethod
    def fitted(pieces: Iterable[np.ndarray], method: Method) -> "Scaling":
        """Return the scaling of training values, given in pieces `[n, ..., c]`; NaN counts as missing.

        "standard" gives every entry of the last axis mean 0 and standard deviation 1; "minmax" gives it the range from
        0 to 1. An entry that is constant up to rounding in float32 keeps its scale.
        """
        count = total = squares = 0.0
        low, high = np.inf, -np.inf
        shift: np.ndarray | None = None
        for piece in pieces:
            rows = np.asarray(piece, np.float64).reshape(-1, piece.shape[-1])
            if shift is None:  # sums of squares about a value of the data lose no digits
                shift = np.nan_to_num(rows[0])
            seen, moved = np.isfinite(rows), np.nan_to_num(rows - shift)
            count, total, squares = count + seen.sum(0), total + moved.sum(0), squares + (moved**2).sum(0)
            low = np.minimum(low, np.where(seen, rows, np.inf).min(0))
            high = np.maximum(high, np.where(seen, rows, -np.inf).max(0))
        assert shift is not None
        count = np.maximum(count, 1)
        mean = shift + total / count
        if method == "standard":
            center, scale = mean, np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
        else:
            center, scale = low, high - low
        usable = np.isfinite(scale) & (scale > 1e-7 * np.abs(mean))
        center, scale = np.where(np.isfinite(center), center, 0.0), np.where(usable, scale, 1.0)
        return Scaling(tuple(center.tolist()), tuple(scale.tolist()))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return x float32 of values; computed in float64."""
        scaled = (np.asarray(values, np.float64) - np.array(self.center)) / np.array(self.scale)
        return scaled.astype(np.float32)

    def restore(self, x: np.ndarray) -> np.ndarray:
        """Return the values of x, float64."""
        return np.asarray(x, np.float64) * np.array(self.scale) + np.array(self.center)

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """Return the sum of log scale over all elements of an example of this shape, nats."""
        return float(np.broadcast_to(np.log(self.scale), shape).sum())
