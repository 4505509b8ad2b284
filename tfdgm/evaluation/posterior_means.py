"""The mean of q(z|x) for every example of a split."""

import numpy as np

from tfdgm.evaluation.bounds import Draws


def posterior_means(draws: Draws) -> np.ndarray | None:
    """Return E_q(z|x)[z] `[n, *event]`; None for codes, and for a posterior whose mean TFP does not implement."""
    model = draws.built.model
    if model.latent.discrete:
        return None
    mean = draws.built.devices.map(lambda x, place, count: model.infer(x, draws.context(place)).mean())
    try:
        return np.concatenate([part.numpy()[:count] for part, count in draws.over_chunks(mean)])
    except NotImplementedError:
        return None
