"""Objectives: the terms that training minimises, with an adversary where one is needed."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.forward import Forward
from tfdgm.contracts.guard import kind_of_result
from tfdgm.contracts.specs import BuildContext


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss and the metrics to log with it.

    Attributes:
      value: `[batch]`, whose mean is minimised.
      metrics: tensors whose mean over the global batch is logged, by name.
    """

    value: tf.Tensor
    metrics: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


class Objective(Component):
    """One term of the loss that training minimises.

    Shapes, for x `[128, 64]`, latent vectors with d = 8 and a batch of 128:

        forward.reconstruction, forward.rate                 # [128] each, nats
        loss = objective.model_loss(forward, context)
        loss.value                                           # [128]; the mean is minimised
        objective.adversary_loss(forward, context).value     # [128], from x and forward.generated, [128, 64] each
        objective.scores(x, context)                         # [128]
        objective.estimates(forward, context)                # {"wasserstein_estimate": scalar}

    With an adversary, set `critic_steps` to the number of its updates for each update of the model, and `optimizer` to
    a Keras optimizer; the trainable variables below this component (its critic) then belong to the adversary, and
    `adversary_loss` trains them before each update of the model.

    Attributes:
      adversarial: True if the term has an adversary.
      units: units of its metrics and estimates, by name.
      needs_posterior: True if the term is undefined without q(z|x).
      needs_posterior_for: the setting that requires q(z|x), if only one does; the error message names it.
      balanced_for: a setting that weighs the term against one that minimises -log p(x|z); refused if no other term
        without an adversary trains the decoder.
      trains_encoder, trains_decoder: whether gradients of `model_loss` reach them; an encoder or decoder that no term
        trains is refused.
      weight: the factor of this term in the weighted sum of the objectives.
      critic_steps: updates of the adversary for each update of the model; 0 without an adversary.
      optimizer: the adversary's Keras optimizer.
    """

    _results = {name: kind_of_result(lambda: Loss, "a tfdgm.Loss") for name in ("model_loss", "adversary_loss")}  # noqa: RUF012

    adversarial: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {}
    needs_posterior: bool = False
    needs_posterior_for: str = ""
    balanced_for: str = ""
    trains_encoder: bool = True
    trains_decoder: bool = True
    weight: float = 1.0
    critic_steps: int = 0
    optimizer: Any = None

    def build(self, context: BuildContext) -> None:
        """Create the critic's variables, if there is a critic."""

    @abstractmethod
    def model_loss(self, forward: Forward, context: Context) -> Loss:
        """Return this term of the model's loss."""

    def adversary_loss(self, forward: Forward, context: Context) -> Loss:
        """Return the adversary's loss; only called if `critic_steps` > 0."""
        raise NotImplementedError

    def scores(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Return the critic's value at each of the samples x `[batch, *shape]`, `[batch]`; logits for a discriminator.

        Raises:
          NotImplementedError: there is no adversary, or it does not score samples one by one.
        """
        raise NotImplementedError(f"{self.display_name()} has no scores")

    def estimates(self, forward: Forward, context: Context) -> dict[str, tf.Tensor]:
        """Return estimates from this batch of unseen data, of divergences, bounds or gradients: scalars by name.

        Called in validation, which prefixes the names with `validation_`, and in evaluation.
        """
        return {}
