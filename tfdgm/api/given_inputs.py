"""The arrays that a caller gives to a trained model, checked against its data and latent."""

from typing import Any

import numpy as np

from tfdgm.api.given_data import as_array
from tfdgm.errors import UserError
from tfdgm.model.packing import Conditioned
from tfdgm.runs.experiment import Built
from tfdgm.trained.inference import Inference
from tfdgm.trained.sampling import label_number


class Inputs:
    """Checks and converts what a caller gives."""

    def __init__(self, built: Built, inference: Inference) -> None:
        self.built = built
        self.inference = inference
        train = built.experiment.train
        self.source = train.source if isinstance(train, Conditioned) else train

    def examples(self, x: np.ndarray) -> np.ndarray:
        """Return x as the model sees it, `[n, *shape]` float32, of rows of the data, or of x itself.

        Raises:
          UserError: the shape is another, or a value is not finite or outside the range of the data.
        """
        spec = self.built.experiment.data.spec
        integers = np.dtype(self.source.dtype).kind in "iu"
        if x.shape[1:] == self.source.shape and (x.dtype.kind in "iu") == integers:
            with np.errstate(over="ignore"):
                rows = x.astype(self.source.dtype)
            if integers and not np.array_equal(rows, x):
                raise UserError(f"x has values in [{x.min()}, {x.max()}], outside those of {rows.dtype}")
            shown = self._nonempty(rows)
            x = self.inference.observe(shown, 0) if np.all(np.isfinite(shown)) else shown
        elif x.shape[1:] != spec.shape or x.dtype.kind != "f":
            kind = f"integers as in the data ({self.source.dtype}), or floats" if integers else "floats"
            hint = "; for one example give x[None]" if x.shape in (spec.shape, self.source.shape) else ""
            raise UserError(
                f"x must have shape [n, {', '.join(map(str, spec.shape))}] of {kind}, got {x.dtype} {x.shape}{hint}"
            )
        x = self._nonempty(x).astype(np.float32)
        if not np.all(np.isfinite(x)):
            raise UserError(f"x has NaN or infinity, the first at {np.argwhere(~np.isfinite(x))[0].tolist()}")
        if spec.levels is not None and not spec.low <= x.min() <= x.max() <= spec.high:
            allowed = f"[{spec.low:g}, {spec.high:g}] of the data"
            raise UserError(f"x has values in [{x.min():g}, {x.max():g}], outside the range {allowed}")
        return x

    def latents(self, z: Any) -> np.ndarray:
        """Return z `[n, *event]`: float32 vectors, or int32 codes.

        Raises:
          UserError: the shape is another, a code is out of range, or a value is not finite.
        """
        latent, array = self.built.model.latent, self._nonempty(as_array(z, "z"), "z")
        if array.shape[1:] != latent.event_shape:
            hint = "; for one z give z[None]" if array.shape == latent.event_shape else ""
            event = ", ".join(map(str, latent.event_shape))
            raise UserError(f"z must have shape [n, {event}], since the latent is {latent}, got {array.shape}{hint}")
        if latent.categories is None:
            array = array.astype(np.float32)
            if not np.all(np.isfinite(array)):
                raise UserError("z has NaN or infinity")
            return array
        if array.dtype.kind not in "iu" or not 0 <= array.min() <= array.max() < latent.categories:
            raise UserError(f"z must be codes, integers in 0..{latent.categories - 1}, got {array.dtype} values")
        return array.astype(np.int32)

    def required(self, labels: Any, count: int) -> np.ndarray | None:
        """Return the conditions of `count` examples; None in a model without.

        Raises:
          UserError: they are missing, or given to a model without a condition.
        """
        condition = self.built.model.condition
        if condition is None and labels is None:
            return None
        if labels is None:
            raise UserError("the model is p(x, z | y): give the conditions y of the examples as labels=")
        return self.conditions(labels, count)

    def conditions(self, given: Any, count: int) -> np.ndarray:
        """Return the conditions of `count` examples: one for all, or one for each; labels by name or number.

        Raises:
          UserError: the model has no condition, a label is unknown, or their number is another.
        """
        condition = self.built.model.condition
        if condition is not None and condition.categories is None:
            y = as_array(given, "labels").astype(np.float32)
            y = np.broadcast_to(y, (count, *condition.shape)) if y.shape == condition.shape else y
            if not np.all(np.isfinite(y)):
                raise UserError("labels have NaN or infinity")
        else:
            each = np.asarray(given)
            if each.dtype.kind not in "iuU":
                raise UserError(f"labels are numbers or names, got an array of dtype {each.dtype}")
            numbers = [label_number(self.built, name) for name in each.reshape(-1).tolist()]
            y = np.full(count, numbers[0], np.int32) if each.ndim == 0 else np.array(numbers, np.int32)
        shape = (count, *(condition.shape if condition else ()))
        if y.shape != shape:
            raise UserError(f"labels must have shape {list(shape)}, one for each example, got {list(y.shape)}")
        return y

    @staticmethod
    def _nonempty(array: np.ndarray, name: str = "x") -> np.ndarray:
        if not len(array):
            raise UserError(f"{name} has no examples")
        return array
