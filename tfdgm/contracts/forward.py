"""One pass of the model over a batch, as objectives see it."""

from typing import Any, Protocol

import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.posterior import Latent


class Forward(Protocol):
    """One pass of the model over a batch `x`. Each quantity is computed once, when it is first read.

    Only the quantities that an objective reads are computed. In a model without a posterior, `features`, `latent`,
    `outputs`, `observation`, `reconstructed`, `reconstruction` and `rate` raise.

    Attributes:
      model: the model; an objective may call its `prior`, `likelihood`, `decoder`, `posterior` and `encoder`.
      context: step, seeds and batch of this pass.
      x: the batch, `[batch, *shape]`.
      features: the encoder's output at x.
      latent: q(z|x), a draw z, and the decoder's input.
      outputs: the decoder's output at the draw.
      observation: p(x|z) at the draw, a tfd.Distribution of batch shape `[batch]`.
      reconstructed: a sample of x from it (its mean where `experiment.samples` is "mean"), `[batch, *shape]`.
      reconstruction: log p(x|z), nats, `[batch]`.
      rate: KL(q(z|x) || p(z)), nats, `[batch]`.
      prior: p(z), a tfd.Distribution; restricted to the codebook where the latent is discrete.
      drawn: the decoder's input at `batch` draws from the prior.
      generated_outputs: the decoder's output at those draws.
      generated: a sample of x at each of them, `[batch, *shape]`.
    """

    x: tf.Tensor
    context: Context
    model: Any

    @property
    def features(self) -> tf.Tensor: ...

    @property
    def latent(self) -> Latent: ...

    @property
    def outputs(self) -> tf.Tensor: ...

    @property
    def observation(self) -> Any: ...

    @property
    def reconstructed(self) -> tf.Tensor: ...

    @property
    def reconstruction(self) -> tf.Tensor: ...

    @property
    def rate(self) -> tf.Tensor: ...

    @property
    def prior(self) -> Any: ...

    @property
    def drawn(self) -> tf.Tensor: ...

    @property
    def generated_outputs(self) -> tf.Tensor: ...

    @property
    def generated(self) -> tf.Tensor: ...

    def at(self, x: tf.Tensor, context: Context) -> "Forward":
        """Return a pass of the same model over other examples, or over the same ones with other seeds."""
        ...

    def repeated(self, times: int, context: Context) -> "Forward":
        """Return a pass over the batch repeated as a whole, so that `[times * batch]` reshapes to `[times, batch]`.

        Every repetition has its own draw of z; the encoder is not evaluated again. The statistics of encoder, posterior
        and prior, and the losses of the posterior, which the core adds to the model's loss, remain those of this pass.
        """
        ...
