"""Logarithms of positive parameters as variables, one for all of x or one for each dimension, and where they start."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, DataSpec, Likelihood, UserError

#: Number of training examples whose spread is measured.
_EXAMPLES = 1_000
#: The scale of a likelihood whose scale is not learned.
FIXED_SCALE = 0.1
_SMALLEST, _LARGEST = 1e-6, 1e6


def log_variable(value: float, shape: Sequence[int], *, trainable: bool, name: str) -> keras.Variable:
    """Return a variable of a shape, `()` for one number, that is log `value` everywhere."""
    return keras.Variable(tf.fill(shape, math.log(value)), trainable=trainable, name=name)


def standard_deviations(context: BuildContext) -> np.ndarray:
    """Return the standard deviation of each dimension of x, over 1,000 training examples `[*shape]`; 1 if constant."""
    count = min(context.num_train, _EXAMPLES)
    x = context.train_rows(np.linspace(0, context.num_train - 1, count).round().astype(np.int64)).astype(np.float64)
    deviations = x.std(axis=0)
    return np.where(deviations > 1e-6 * np.abs(x).max(axis=0), deviations, 1.0)


def scale_variable(
    likelihood: Likelihood, context: BuildContext, scale: float | None, *, learned: bool, shape: Sequence[int]
) -> keras.Variable:
    """Return a variable log s, for the parameters `scale` and `learned_scale` of a likelihood.

    Args:
      likelihood: whose scale it is, for the message.
      context: of its `build`.
      scale: the initial s; None stands for 0.1 if s is fixed, and for the standard deviation of x if it is learned.
      learned: whether to train it.
      shape: of x for one s in each dimension, `()` for one in all.
    """
    if scale is not None or not learned:
        return log_variable(FIXED_SCALE if scale is None else scale, shape, trainable=learned, name="log_scale")
    deviations = standard_deviations(context)
    initial = deviations if shape else np.sqrt(np.mean(deviations**2))
    likelihood.require(
        bool(np.all((initial >= _SMALLEST) & (initial <= _LARGEST))),
        f"the standard deviation of x in one dimension is {float(np.min(initial)):.3g} and in another "
        f"{float(np.max(initial)):.3g}, but a scale must be between {_SMALLEST:g} and {_LARGEST:g}; scale the data",
    )
    return keras.Variable(np.log(initial).astype(np.float32), name="log_scale")


def scale_shape(data: DataSpec, per_dimension: bool | None) -> tuple[int, ...]:
    """Return the shape of a learned parameter; None for `per_dimension` means one for each element of a vector."""
    each = len(data.shape) == 1 and data.image_shape is None if per_dimension is None else per_dimension
    return data.shape if each else ()


def check_plain(likelihood: Likelihood, data: DataSpec) -> None:
    """Refuse a table with columns that are not numeric, or with missing values."""
    column = None if data.table is None else data.table.odd_column
    if column is not None:
        what = "has missing values" if column.kind == "numeric" else f"is {column.kind}"
        raise UserError(
            f"{likelihood.display_name()} requires numeric columns without missing values, but column {column.name!r} "
            f"{what}; use likelihood.heterogeneous"
        )
