"""Objectives: what training minimises, with an adversary where one is needed."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.forward import Forward
from tfdgm.contracts.specs import BuildContext


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss and what to log beside it.

    Attributes:
      value: `[batch]`, minimised in the mean.
      metrics: by name, tensors whose mean over the global batch is logged.
    """

    value: tf.Tensor
    metrics: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


class Objective(Component):
    """One term of what training minimises.

    With an adversary, set `critic_steps` to the number of its updates for each of the model's, and `optimizer` to a
    Keras optimizer; the trainable variables below this component (its critic) are then the adversary's, and
    `adversary_loss` trains them before each update of the model.

    Attributes:
      adversarial: True where the term brings an adversary.
      units: units of its metrics and estimates, by name.
      needs_posterior: True where the term has no meaning without q(z|x).
      needs_posterior_for: the setting that asks for it, where it is one; the refusal names it.
      balanced_for: a setting that weighs the term against one that minimises -log p(x|z); refused where no other term
        without an adversary trains the decoder.
      trains_encoder, trains_decoder: whether gradients of `model_loss` reach them; a player nothing trains is refused.
    """

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
        """Makes the critic's variables, where there is one."""

    @abstractmethod
    def model_loss(self, forward: Forward, context: Context) -> Loss:
        """This term of the model player's loss."""

    def adversary_loss(self, forward: Forward, context: Context) -> Loss:
        """What the adversary minimises; only asked for where `critic_steps` > 0."""
        raise NotImplementedError

    def scores(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """What the adversary says of samples x `[batch, *shape]` as they are, `[batch]`; of a discriminator, logits.

        Raises:
          NotImplementedError: there is no adversary, or it has no score for a single sample.
        """
        raise NotImplementedError(f"{self.display_name()} has no scores")

    def estimates(self, forward: Forward, context: Context) -> dict[str, tf.Tensor]:
        """What the adversary can tell of unseen data: scalars by name, estimated on this batch.

        Asked for in validation, where the names are prefixed by `validation_`, and in evaluation.
        """
        return {}
