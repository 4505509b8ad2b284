"""The prior p(z | lambda)."""

from abc import abstractmethod
from typing import Any, ClassVar

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.guard import is_distribution
from tfdgm.contracts.specs import BuildContext


class Prior(Component):
    """p(z | lambda): a density on R^d, or a distribution over grids of codes.

    A density on R^C also serves discrete posteriors: the core restricts it to their codebook.

    Shapes, for latent vectors with d = 8 and a batch of 128:

        p = prior.distribution(context)   # batch shape [], event shape [8]
        p.sample(64, seed=seed)           # [64, 8]
        p.log_prob(z)                     # [128], nats, of z [128, 8]

    and for a prior over a 4 x 4 grid of 512 codes:

        p = prior.distribution(context)   # batch shape [], event shape [4, 4]
        p.sample(64, seed=seed)           # [64, 4, 4] int32, each code in 0..511
        p.log_prob(codes)                 # [128], nats, of codes [128, 4, 4]

    Attributes:
      over: "vectors" for a density on R^d, "codes" for a distribution over grids of codes, "latent" for a prior with
        the event shape of the posterior's draws, vectors or codes.
      needs_posterior: True if the prior is computed from q(z|x), as the aggregated posterior is.
      conditional: True if the prior is p(z|y): it reads the condition `context.y` `[batch, ...]`, and its distribution
        has the batch shape `[batch]`.
    """

    _results = {"distribution": is_distribution}  # noqa: RUF012

    over: ClassVar[str] = "vectors"
    needs_posterior: ClassVar[bool] = False
    conditional: bool = False

    def build(self, context: BuildContext) -> None:
        """Create the variables. `context.latent` describes z."""

    @abstractmethod
    def distribution(self, context: Context) -> Any:
        """Return p(z) as a tfd.Distribution with empty batch shape, or p(z|y) with batch shape `[batch]`.

        Its event shape is `[context.latent.size]` for a density on vectors, and `context.latent.event_shape` for the
        other kinds; draws of codes are int32. Construct it inside the call, from variables read there.

        The rate is TFP's closed-form KL(q || p) if one is registered, else log q(z|x) - log p(z) at one draw. A
        distribution over codes may define `relaxed_log_prob(y)`, its log-probability extended to points y of the
        simplex `[batch, *event_shape, K]`; gradients of the rate then reach a relaxed posterior through it.
        """
