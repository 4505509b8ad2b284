"""Flows with random weights."""

import numpy as np
from tfdgm_priors.maf import MAF

from tfdgm import BuildContext, DataSpec, LatentSpec
from tfdgm.contracts.component import named_variables, raw


def built(size, **hyperparameters):
    prior = MAF(**hyperparameters)
    prior.build(BuildContext(DataSpec((size,)), LatentSpec(size=size), 1, lambda indices: indices, seed=0))
    return prior


def away_from_the_identity(prior):
    """Draw weights, smaller for long chains, which multiply the rounding of float32."""
    random = np.random.RandomState(1)
    for variable in named_variables(prior).values():
        raw(variable).assign(random.randn(*variable.shape) * min(0.3, 1.5 / prior.num_bijectors))
    return prior
