"""Active units of a continuous latent."""

import numpy as np

from tfdgm.evaluation.bounds import Draws

#: Burda et al. 2016, section 5.2.
_THRESHOLD = 0.01


def active_units(draws: Draws) -> int:
    """Number of dimensions u with Var_x( E_q(z|x)[z_u] ) > 0.01 (Burda et al. 2016, section 5.2)."""
    model = draws.built.model
    mean = draws.built.devices.each(lambda x, number, count: model.infer(x, draws.context(number)).mean())
    means = [part.numpy()[:count] for part, count in draws.over_chunks(mean)]
    return int(np.sum(np.var(np.concatenate(means), axis=0) > _THRESHOLD))
