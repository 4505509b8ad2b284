"""The prior p(z | lambda)."""

from abc import abstractmethod
from typing import Any, ClassVar

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.specs import BuildContext


class Prior(Component):
    """p(z | lambda): a density on R^d, or a distribution over grids of codes.

    A density on R^C also serves discrete posteriors: the core restricts it to their codebook.

    Attributes:
      over: "vectors" for a density on R^d, "codes" for a distribution over grids of codes, "latent" for a prior that
        takes the shape of whatever the posterior infers.
      needs_posterior: True where the prior is made of q(z|x), as the aggregated posterior is.
    """

    over: ClassVar[str] = "vectors"
    needs_posterior: ClassVar[bool] = False

    def build(self, context: BuildContext) -> None:
        """Makes the variables. `context.latent` tells the shape of z."""

    @abstractmethod
    def distribution(self, context: Context) -> Any:
        """A tfd.Distribution with no batch shape.

        Its event shape is `[context.latent.size]` for a density on vectors, and `context.latent.event_shape` for the
        other kinds; draws of codes are int32. Make it inside the call, from variables read there.

        Where TFP has a closed-form KL(q || p) it is used for the rate, else log q(z|x) - log p(z) at one draw. A
        distribution over codes may offer `relaxed_log_prob(y)`, its log-probability continued to points y of the
        simplex `[batch, *positions, K]`: gradients of the rate then reach a relaxed posterior through it.
        """
