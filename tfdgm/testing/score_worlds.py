"""The models that a score is tried on: one of each kind that it may meet in an evaluation."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm.contracts.condition import ConditionSpec
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import ArraySource, Modes, Source
from tfdgm.contracts.forward import Forward
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.objective import Loss, Objective
from tfdgm.contracts.prior import Prior
from tfdgm.contracts.specs import BuildContext, DataSpec
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.testing.partners import PartnerCodes, PartnerData, PartnerNetwork
from tfdgm.testing.trials import experiment_of

_HALF_PLANES = 2
_DRAWS = 4


class PartnerCodePrior(Prior):
    """p(c) uniform over all grids of codes."""

    over = "codes"

    def build(self, context: BuildContext) -> None:
        self.logits = np.zeros([*context.latent.event_shape, context.latent.categories or 1], np.float32)

    def distribution(self, context: Context) -> tfd.Distribution:
        return tfd.Independent(tfd.Categorical(logits=self.logits), self.logits.ndim - 1)


class PartnerCritic(Objective):
    """E f(x) - E f(g(z)) - E f^2, which a critic f maximises, and which the model minimises through g."""

    critic_steps = 1
    trains_encoder = False

    def __init__(self) -> None:
        self.optimizer = keras.optimizers.Adam(1e-2)

    def build(self, context: BuildContext) -> None:
        self.critic = PartnerNetwork(hidden=True)
        self.critic.build(context.data.shape, (), context)

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        return Loss(-self.critic(forward.generated, context))

    def adversary_loss(self, forward: Forward, context: Context) -> Loss:
        real, fake = self.critic(forward.x, context), self.critic(forward.generated, context)
        return Loss(fake - real + tf.square(real) + tf.square(fake))

    def estimates(self, forward: Forward, context: Context) -> dict[str, tf.Tensor]:
        real, fake = self.critic(forward.x, context), self.critic(forward.generated, context)
        return {"critic_gap": tf.reduce_mean(real - fake)}


class PartnerLabels(PartnerData):
    """Normal points in the plane; the label, the mode and the classifier tell the sign of the first coordinate."""

    def __init__(self) -> None:
        super().__init__(spec=DataSpec(shape=(2,), condition=ConditionSpec(categories=_HALF_PLANES)))

    def splits(self) -> dict[str, Source]:
        labels = _half_plane(self.rows)
        return {
            "train": ArraySource(self.rows, labels),
            "validation": ArraySource(self.rows[:64], labels[:64]),
        }

    def modes(self) -> Modes:
        return Modes(_HALF_PLANES, lambda x: (_half_plane(x), np.linalg.norm(x, axis=1) < 3.0))

    def features(self) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: np.concatenate([x, x**2], axis=1)

    def classifier(self) -> Callable[[np.ndarray], np.ndarray]:
        return _half_plane


def _half_plane(x: np.ndarray) -> np.ndarray:
    return (x[:, 0] > 0).astype(np.int32)


class PartnerBernoulli(Likelihood):
    """p(x|z) = prod_i Bernoulli(x_i; sigmoid(l_i)), the outputs being l."""

    discrete = True

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        return tfd.Independent(tfd.Bernoulli(logits=outputs, dtype=tf.float32), 1)


def _vectors() -> dict[str, Any]:
    return {}


def _codes() -> dict[str, Any]:
    return {"prior": PartnerCodePrior(), "posterior": PartnerCodes()}


def _binary() -> dict[str, Any]:
    bits = DataSpec(shape=(8,), low=0.0, high=1.0, levels=2)
    return {"data": PartnerData(spec=bits), "likelihood": PartnerBernoulli()}


def _adversarial() -> dict[str, Any]:
    return {"posterior": None, "encoder": None, "objectives": [PartnerCritic()]}


def _labels() -> dict[str, Any]:
    return {"data": PartnerLabels(), "condition": True}


#: What experiments have instead of the partners' VAE on points in the plane.
SCORED: Mapping[str, Callable[[], dict[str, Any]]] = {
    "a VAE over vectors": _vectors,
    "a model over codes": _codes,
    "a VAE of binary x": _binary,
    "a GAN": _adversarial,
    "a conditional VAE on data with labels, modes and features": _labels,
}


@functools.cache
def _evaluation(world: str) -> SplitEvaluation:
    return SplitEvaluation(experiment_of(**SCORED[world]()).build(), "validation", _DRAWS)


def evaluation(world: str) -> SplitEvaluation:
    """Return the evaluation of an untrained model of one kind, with nothing computed yet.

    A process builds and compiles each model once.
    """
    run = _evaluation(world)
    run.refresh()
    return run
