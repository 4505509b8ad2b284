"""A generator whose samples lie on the segment {x1} x [0, 1], for the labs on parallel lines."""

import numpy as np

from tfdgm.runs.experiment import Built

#: sigmoid(1.702 z) is the cumulative distribution of N(0, 1) to 0.0095, so that it is almost uniform on [0, 1].
_SLOPE = 1.702


def line_at(built: Built, x1: float) -> dict[str, np.ndarray]:
    """Return values of the decoder's variables, by name, with which x = (x1, sigmoid(1.702 z)).

    The decoder must have one hidden unit, a sigmoid. The distribution function of the second coordinate differs from
    that of U[0, 1] by at most 0.0095. This changes W to the parallel segment at distance theta by less than
    0.0095^2 / (2 theta), and KL and JSD not at all.
    """
    names = [name for name in built.state.variables if name.startswith("model/decoder/")]
    values = ([[_SLOPE]], [0.0], [[0.0, 1.0]], [x1, 0.0])
    return {name: np.array(value, np.float32) for name, value in zip(names, values, strict=True)}
