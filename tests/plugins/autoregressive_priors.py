"""Autoregressive priors with random weights."""

import numpy as np
from tfdgm_priors.autoregressive import Autoregressive

from tfdgm import BuildContext, DataSpec, LatentSpec
from tfdgm.contracts.component import named_variables, raw


def built_prior(positions=(2, 2), categories=3, spread=0.3, codebooks=None, **hyperparameters):
    """Return a prior with weights from N(0, spread^2), so that the conditionals are far from uniform."""
    prior = Autoregressive(**{"width": 8, "layers": 2, "heads": 2, **hyperparameters})
    spec = LatentSpec(size=2, positions=positions, categories=categories, codebooks=codebooks)
    prior.build(BuildContext(DataSpec((3,)), spec, 1, lambda indices: indices, seed=0))
    random = np.random.RandomState(1)
    for variable in named_variables(prior).values():
        raw(variable).assign_add(spread * random.randn(*variable.shape).astype(np.float32))
    return prior
