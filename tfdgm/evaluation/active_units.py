"""Active units of a continuous latent."""

import numpy as np

from tfdgm.evaluation.bounds import Draws

#: Burda et al. 2016, section 5.2.
_THRESHOLD = 0.01


def active_units(draws: Draws) -> int | None:
    """Return the number of dimensions u with Var_x( E_q(z|x)[z_u] ) > 0.01 (Burda et al. 2016, section 5.2).

    None if the variance is undefined: for a single example, for a posterior whose mean TFP does not implement, and for
    a mean that is not finite.
    """
    if len(draws.source) < 2:
        return None
    model = draws.built.model
    mean = draws.built.devices.map(lambda x, place, count: model.infer(x, draws.context(place)).mean())
    try:
        means = np.concatenate([part.numpy()[:count] for part, count in draws.over_chunks(mean)])
    except NotImplementedError:
        return None
    if not np.all(np.isfinite(means)):
        return None
    return int(np.sum(np.var(means.astype(np.float64), axis=0) > _THRESHOLD))
