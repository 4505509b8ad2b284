"""Whether real-valued data has a scale that networks and optimizers with their defaults can learn from."""

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import evenly
from tfdgm.contracts.specs import DataSpec
from tfdgm.errors import UserError
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built

#: Examples that are looked at.
_EXAMPLES = 1_000
#: Adam with the default rate of 1e-3 moves a bias by 10 at most in the default 10,000 steps, and by 100 in 100,000.
_LARGE = 100.0
#: A hundredth of the default scale 0.1 of `likelihood.gaussian`, to which such data is one point.
_SMALL = 1e-3
#: Columns this far apart in scale: one likelihood of all of x weighs an error of the same share 10^6 times more in one.
#: Pixels of 8 bits stay below it: between the largest standard deviation in [0, 1] and one grey level, at most 829.
_APART = 1_000.0
#: A standard deviation by the range, for columns with few values that are not 0: a Gaussian's 1,000 draws span 6.5.
_RANGE = 6.5
_NAMED = 3


def data_scale_warnings(built: Built) -> list[str]:
    """`scale_warnings` of at most 1,000 observed training examples, spread evenly; none for grey levels and codes.

    Raises:
      UserError: one of them has NaN or infinity.
    """
    data, source = built.experiment.data, built.experiment.train
    if data.spec.levels is not None:
        return []
    positions = evenly(len(source), min(len(source), _EXAMPLES))

    @tf.function(jit_compile=True, autograph=False)
    def observed(rows: tf.Tensor) -> tf.Tensor:
        context = Context(root_seed(built.experiment.seed, "scale"), tf.constant(0, tf.int64))
        return data.observe(rows, context)

    x = observed(tf.constant(source.gather(positions))).numpy()
    finite = np.isfinite(x).reshape(len(x), -1).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{data.display_name()}: x of training example {positions[np.argmin(finite)]} has NaN or infinity, as do "
            f"{np.sum(~finite)} of {len(x)} examples looked at"
        )
    return scale_warnings(data.spec, x)


def scale_warnings(spec: DataSpec, x: np.ndarray) -> list[str]:
    """At most one line about columns of x whose scale is far from 1, the worst first, with the cure.

    That is a mean or standard deviation beyond 100; a largest standard deviation below 0.001; or standard deviations
    more than 1,000 apart. Columns that are constant count for their mean alone.

    Args:
      spec: of x; grey levels have their scale by the data's own definition, and no warning.
      x: examples `[n, *spec.shape]`, finite.
    """
    if spec.levels is not None or not len(x):
        return []
    columns = x.reshape(len(x), -1).astype(np.float64)
    mean, deviation = columns.mean(axis=0), columns.std(axis=0)
    scale = np.maximum(deviation, np.ptp(columns, axis=0) / _RANGE)
    varying = scale > 0
    size = np.maximum(np.abs(mean), deviation)
    if np.any(size > _LARGE):
        chosen, badness, what = size > _LARGE, size, f"a mean or standard deviation beyond {_LARGE:g}"
    elif np.any(varying) and scale.max() < _SMALL:
        chosen, badness, what = varying, -scale, f"a standard deviation below {_SMALL:g}"
    elif np.any(varying) and scale.max() > _APART * scale[varying].min():
        chosen = varying & (_APART * scale < scale.max())
        badness, what = -scale, f"a standard deviation more than {_APART:g} times smaller than another's"
    else:
        return []
    worst = np.flatnonzero(chosen)[np.argsort(-badness[chosen], kind="stable")]
    listed = "; ".join(
        f"{_place(column, spec.shape)} has mean {mean[column]:.3g} and standard deviation {deviation[column]:.3g}"
        for column in worst[:_NAMED]
    )
    first = worst[0]
    centred = f"(x {'-' if mean[first] >= 0 else '+'} {abs(mean[first]):.6g})"
    divided = f"{centred} / {deviation[first] if deviation[first] > 0 else 1.0:.6g}"
    return [
        f"{len(worst):,} of {len(mean):,} columns of x have {what}, which trains badly: {listed}"
        f"{'; ...' if len(worst) > _NAMED else ''}. Standardise each, x -> (x - mean) / standard deviation, "
        f"here {divided} in {_place(first, spec.shape)}"
    ]


def _place(column: int, shape: tuple[int, ...]) -> str:
    """`column 3`, or `x[3, 1]` where x has several axes."""
    if len(shape) == 1:
        return f"column {column}"
    return f"x[{', '.join(str(index) for index in np.unravel_index(column, shape))}]"
