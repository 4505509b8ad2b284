"""A run that becomes non-finite names the tensor, the player and the step."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import MeanGame, gan_experiment, points_experiment, silent
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO

from tfdgm import Loss
from tfdgm.errors import NonFiniteError
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer


def nan_at(step, at, tensor):
    return tf.where(tf.equal(step, at), tf.constant(np.nan, tensor.dtype), tensor)


class BreakingNetwork(MLP):
    def __call__(self, x, context):
        return nan_at(context.step, 17 if context.training else -1, super().__call__(x, context))


class BreakingLoss(ELBO):
    def model_loss(self, forward, context):
        loss = super().model_loss(forward, context)
        return Loss(nan_at(context.step, 13, loss.value), loss.metrics)


class BreakingCritic(MeanGame):
    def adversary_loss(self, forward, context):
        loss = super().adversary_loss(forward, context)
        return Loss(nan_at(context.step, 11, loss.value), loss.metrics)


class BreakingWeights(MLP):
    """A map whose projection after step 14 makes the kernel infinite, with finite losses and gradients."""

    def build(self, input_shape, output_shape, context):
        super().build(input_shape, output_shape, context)
        self.calls = keras.Variable(tf.zeros([]), trainable=False, name="calls")

    def project(self):
        self.calls.assign_add(1.0)
        kernel = self.layers[0].kernel
        kernel.assign(tf.where(self.calls.value == 15.0, np.inf, kernel.value))


SLOW = pytest.mark.slow
KERNEL = "decoder/layers/0/0_kernel after the update"


@pytest.mark.parametrize(
    "make, argument, cls, player, tensor, step",
    [
        pytest.param(points_experiment, "encoder", BreakingNetwork, "model", "the encoder's output", 17, id="encoder"),
        pytest.param(
            points_experiment, "decoder", BreakingNetwork, "model", "log p(x|z)", 17, marks=SLOW, id="decoder"
        ),
        pytest.param(points_experiment, "objectives", BreakingLoss, "model", "the loss", 13, marks=SLOW, id="loss"),
        pytest.param(
            gan_experiment, "objectives", BreakingCritic, "breakingcritic", "the loss", 11, marks=SLOW, id="critic"
        ),
        pytest.param(points_experiment, "decoder", BreakingWeights, "model", KERNEL, 14, marks=SLOW, id="weight"),
    ],
)
def test_the_first_non_finite_tensor_is_named(tmp_path, make, argument, cls, player, tensor, step):
    if argument == "objectives":
        part = [cls(network=MLP(hidden=(4,)))] if issubclass(cls, MeanGame) else [cls()]
    else:
        part = cls(hidden=())
    trainer = Trainer(make(**{argument: part}, steps=30).build(), tmp_path, silent)
    with pytest.raises(NonFiniteError) as raised:
        trainer.train()
    message = str(raised.value)
    assert f"at step {step}: the first tensor, of the player '{player}', was {tensor};" in message
    assert "the checkpoint of step 10" in message
    assert trainer.checkpoints.latest().step == 10
    assert all(np.isfinite(tensor).all() for tensor in trainer.checkpoints.latest().tensors.values())


class LoggedInfinity(ELBO):
    """Logs an infinite metric from step 5, such as the rate under a prior of bounded support; its loss stays finite."""

    def model_loss(self, forward, context):
        loss = super().model_loss(forward, context)
        beyond = tf.where(context.step >= 5, np.inf, 0.0) + tf.zeros_like(loss.value)
        return Loss(loss.value, {**loss.metrics, "beyond": beyond, "undefined": beyond - beyond})


def test_a_metric_that_is_not_a_loss_may_be_infinite_or_undefined(tmp_path):
    built = points_experiment(objectives=[LoggedInfinity()], steps=20).build()
    assert Trainer(built, tmp_path, silent).train().step == 20
    first, last = read_lines(tmp_path / "metrics.jsonl")
    assert first["beyond"] == last["beyond"] == np.inf and np.isnan(last["undefined"]) and np.isfinite(last["loss"])
    assert b"NaN" in (tmp_path / "metrics.jsonl").read_bytes()
    for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=pytest.fail)  # strict JSON has no such constants
