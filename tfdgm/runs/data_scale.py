"""Warn of real-valued data whose scale is unsuited to the likelihood, or to the defaults of networks and optimizers."""

import inspect

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Data, evenly
from tfdgm.contracts.specs import DataSpec
from tfdgm.errors import UserError
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built
from tfdgm.runs.likelihood_scale import likelihood_scale_warnings

#: Number of examples to examine.
_EXAMPLES = 1_000
#: Adam with the default rate of 1e-3 moves a bias by 10 at most in the default 10,000 steps, and by 100 in 100,000.
_LARGE = 100.0
#: A hundredth of a likelihood's scale of 0.1, in comparison to which such data is one point.
_SMALL = 1e-3
#: Ratio of the columns' scales: at 1,000 a common likelihood weighs the same relative error 10^6 times more in one.
#: Pixels of 8 bits stay below it: between the largest standard deviation in [0, 1] and one grey level, at most 829.
_APART = 1_000.0
#: Range in standard deviations, for columns with few values other than 0: 1,000 draws from a Gaussian span 6.5.
_RANGE = 6.5
_NAMED = 3


def data_scale_warnings(built: Built) -> list[str]:
    """Return the `scale_warnings`, or else the `likelihood_scale_warnings`, with the remedy.

    Up to 1,000 evenly spaced training examples are examined; grey levels and counts are not.

    Raises:
      UserError: an example contains NaN or infinity.
    """
    data, source = built.experiment.data, built.experiment.train
    if data.spec.levels is not None or data.spec.counts:
        return []
    positions = evenly(len(source), min(len(source), _EXAMPLES))

    @tf.function(jit_compile=True, autograph=False)
    def observed(rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return built.model.observe(rows, Context(seed, tf.constant(0, tf.int64)))[0]

    x = observed(tf.constant(source.gather(positions)), root_seed(built.experiment.seed, "scale")).numpy()
    finite = np.isfinite(x).reshape(len(x), -1).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{data.display_name()}: x of training example {positions[np.argmin(finite)]} has NaN or infinity, as do "
            f"{np.sum(~finite)} of {len(x)} examined examples"
        )
    lines = scale_warnings(data.spec, x) or likelihood_scale_warnings(built, x)
    return [line + _remedy(data) for line in lines]


def _remedy(data: Data) -> str:
    """Return the binding that scales the data, if it offers one and is not scaled."""
    scaling = inspect.signature(type(data)).parameters.get("scaling")
    if scaling is None or "standard" not in str(scaling.annotation) or data.spec.scaling is not None:
        return ""
    return f'; {data.display_name()}.scaling = "standard" does so'


def scale_warnings(spec: DataSpec, x: np.ndarray) -> list[str]:
    """Return at most one line about columns of x whose scale is far from 1, the worst first, with the remedy.

    The scale is far from 1 if a mean or standard deviation exceeds 100, if every standard deviation is below 0.001, or
    if two standard deviations differ by a factor of more than 1,000. Constant columns count only by their mean.

    Args:
      spec: specification of x; grey levels and counts are never warned about, since their definition fixes their scale.
      x: examples `[n, *spec.shape]`, finite.
    """
    if spec.levels is not None or spec.counts or not len(x):
        return []
    columns = x.reshape(len(x), -1).astype(np.float64)
    mean, deviation = columns.mean(axis=0), columns.std(axis=0)
    scale = np.maximum(deviation, np.ptp(columns, axis=0) / _RANGE)
    varying = scale > 0
    size = np.maximum(np.abs(mean), deviation)
    if np.any(size > _LARGE):
        chosen, badness, problem = size > _LARGE, size, f"a mean or standard deviation beyond {_LARGE:g}"
    elif np.any(varying) and scale.max() < _SMALL:
        chosen, badness, problem = varying, -scale, f"a standard deviation below {_SMALL:g}"
    elif np.any(varying) and scale.max() > _APART * scale[varying].min():
        chosen = varying & (_APART * scale < scale.max())
        badness, problem = -scale, f"a standard deviation more than {_APART:g} times smaller than another's"
    else:
        return []
    worst = np.flatnonzero(chosen)[np.argsort(-badness[chosen], kind="stable")]
    listed = "; ".join(
        f"{_place(column, spec)} has mean {mean[column]:.3g} and standard deviation {deviation[column]:.3g}"
        for column in worst[:_NAMED]
    )
    first = worst[0]
    centred = f"(x {'-' if mean[first] >= 0 else '+'} {abs(mean[first]):.6g})"
    divided = f"{centred} / {deviation[first] if deviation[first] > 0 else 1.0:.6g}"
    return [
        f"{len(worst):,} of {len(mean):,} columns of x have {problem}, which trains badly: {listed}"
        f"{'; ...' if len(worst) > _NAMED else ''}. Standardise each, x -> (x - mean) / standard deviation, "
        f"here {divided} in {_place(first, spec)}"
    ]


def _place(column: int, spec: DataSpec) -> str:
    """Return `column 'age'` of a table, else `column 3`, or `x[3, 1]` if x has several axes."""
    shape = spec.shape
    if spec.table is not None:
        for named, place in zip(spec.table.columns, spec.table.places, strict=True):
            if place.start <= column < place.stop:
                return f"column {named.name!r}"
    if len(shape) == 1:
        return f"column {column}"
    return f"x[{', '.join(str(index) for index in np.unravel_index(column, shape))}]"
