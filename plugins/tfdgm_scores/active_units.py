"""Active units of a continuous latent."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tfdgm import Evaluation, Quantity, Score

#: Burda et al. 2016, section 5.2.
_THRESHOLD = 0.01


class ActiveUnits(Score):
    """The number of dimensions u with Var_x( E_q(z|x)[z_u] ) > 0.01 (Burda et al. 2016, section 5.2).

    Absent if the variance is undefined: for a single example, for a posterior whose mean TFP does not implement, and
    for a mean that is not finite.
    """

    rank = 40
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "active_units": Quantity("dimensions", "number of dimensions u with Var_x(E_q(z|x)[z_u]) > 0.01", main=True)
    }

    def obstacle(self, run: Evaluation) -> str | None:
        if run.built.model.posterior is None:
            return "the model has no posterior"
        if run.built.model.latent.discrete:
            return "the latent is discrete"
        return "a variance needs two examples" if len(run.source) < 2 else None

    def compute(self, run: Evaluation) -> dict[str, float]:
        means = run.means
        if means is None or not np.all(np.isfinite(means)):
            return {}
        return {"active_units": int(np.sum(np.var(means.astype(np.float64), axis=0) > _THRESHOLD))}
