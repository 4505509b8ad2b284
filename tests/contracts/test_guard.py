"""A plugin's exceptions and results of the wrong kind: one message that names plugin, method, cause and place."""

import re

import keras
import pytest
import tensorflow as tf
from small import (
    Digits,
    GaussianLikelihood,
    GaussianPosterior,
    GaussianPrior,
    MeanGame,
    Points,
    command,
    context,
    gan_experiment,
    normal_rows,
    points_experiment,
    silent,
)
from tensorflow_probability import distributions as tfd
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO

from tfdgm import Loss
from tfdgm.contracts.guard import guarded
from tfdgm.errors import PluginFault, UserError, compilation_fault, explained
from tfdgm.training.trainer import Trainer


def first_step(tmp_path, **parts):
    """Build an experiment with a broken part and take its first steps; return the message."""
    with pytest.raises(PluginFault) as caught:
        Trainer(points_experiment(**parts).build(), tmp_path, say=silent).train()
    return str(caught.value)


class NoPrior(GaussianPrior):
    def distribution(self, context):
        return None


class VariablePrior(GaussianPrior):
    def distribution(self, context):
        return self.mean


class MisspeltPrior(GaussianPrior):
    def distribution(self, context):
        return tfd.Independent(tfd.Normal(self.average, 1.0), 1)


class EagerPrior(GaussianPrior):
    def distribution(self, context):
        self.mean.value.numpy()
        return super().distribution(context)


class BranchingNetwork(MLP):
    def __call__(self, x, context):
        return super().__call__(-x if tf.reduce_sum(x) > 0 else x, context)


class NarrowNetwork(MLP):
    def __call__(self, x, context):
        return super().__call__(x, context)[:, :2]


class SilentNetwork(MLP):
    def __call__(self, x, context):
        super().__call__(x, context)


class DependentLikelihood(GaussianLikelihood):
    def distribution(self, outputs):
        return super().distribution(outputs).distribution


class DoublePosterior(GaussianPosterior):
    def distribution(self, features, context):
        return tfd.Independent(tfd.Normal(tf.cast(features[:, :2], tf.float64), tf.ones([], tf.float64)), 1)


class PriorAsPosterior(GaussianPosterior):
    def distribution(self, features, context):
        return tfd.MultivariateNormalDiag(tf.zeros([2]))


class LossObjective(ELBO):
    change = staticmethod(lambda value: value)
    metrics = staticmethod(lambda metrics: metrics)

    def model_loss(self, forward, context):
        loss = super().model_loss(forward, context)
        return Loss(self.change(loss.value), self.metrics(loss.metrics))


class MeanObjective(LossObjective):
    change = staticmethod(tf.reduce_mean)


class ColumnObjective(LossObjective):
    change = staticmethod(lambda value: value[:, None])


class ShadowingObjective(LossObjective):
    metrics = staticmethod(lambda metrics: metrics | {"loss": tf.zeros([])})


class TensorObjective(ELBO):
    def model_loss(self, forward, context):
        return forward.rate - forward.reconstruction


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"prior": NoPrior()}, r": distribution returned None, not a tfd.Distribution \(file .*test_guard.py"),
        ({"prior": VariablePrior()}, r"distribution returned a Variable of shape \(2,\) and float32, not a tfd.Dist"),
        (
            {"prior": MisspeltPrior()},
            r"AttributeError: 'MisspeltPrior' object has no attribute 'average' \(file",
        ),
        ({"prior": EagerPrior()}, r": distribution raised .*test_guard\.py"),
        ({"decoder": BranchingNetwork()}, "__call__ raised OperatorNotAllowedInGraphError: .*Python `bool`"),
        ({"decoder": NarrowNetwork()}, r": the decoder's output has shape \(20, 2\), not \(batch, 3\)"),
        ({"encoder": NarrowNetwork()}, r": the encoder's output has shape \(20, 2\), not \(batch, 4\)"),
        ({"decoder": SilentNetwork()}, r": __call__ returned None, not a tensor"),
        ({"likelihood": DependentLikelihood()}, r"event shape \(\), but x has \(3,\); wrap it in tfd.Independent"),
        ({"objectives": [MeanObjective()]}, r"the value of the loss has shape \(\), not \(20,\)"),
        ({"objectives": [ColumnObjective()]}, r"the value of the loss has shape \(20, 1\), not \(20,\)"),
        ({"objectives": [ShadowingObjective()]}, "the metric 'loss' is one of tfdgm's own; rename it"),
        ({"objectives": [TensorObjective()]}, r"model_loss returned a .*Tensor of shape \(20,\).*, not a tfdgm.Loss"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mistake_is_one_message(tmp_path, parts, message):
    assert re.search(message, first_step(tmp_path, **parts))


@pytest.mark.parametrize(
    ("posterior", "message"),
    [
        (DoublePosterior(), "computes in <dtype: 'float64'>, not in float32"),
        (PriorAsPosterior(), r"batch shape \(\), but the batch has \(4,\)"),
    ],
)
def test_a_posterior_of_other_shape_or_type_is_named(posterior, message):
    built = points_experiment(posterior=posterior).build()
    with pytest.raises(PluginFault, match=message):
        built.model.infer(tf.zeros([4, 3]), context())


def test_what_a_plugin_refuses_keeps_its_own_words():
    class Refusing(GaussianPrior):
        def build(self, context):
            self.require(False, "only on Sundays")

    with pytest.raises(UserError, match=r": only on Sundays$"):
        points_experiment(prior=Refusing()).build()


def test_an_exception_of_the_constructor_is_named():
    class Broken(GaussianPrior):
        def __init__(self):
            self.size = 1 + "1"

    with pytest.raises(PluginFault, match=": __init__ raised TypeError: unsupported operand"):
        Broken()


def test_an_operation_that_xla_cannot_compile_is_named_with_its_place():
    @tf.function(jit_compile=True, autograph=False)
    def program(x):
        return tf.py_function(lambda y: y, [x], tf.float32)

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        program(tf.zeros([2]))
    code, message = explained(caught.value)
    assert code == 2
    assert message.startswith("XLA cannot compile the operation EagerPyFunc (file ") and "test_guard.py" in message
    assert compilation_fault("Incompatible shapes: [2] vs. [3]") is None


def test_debug_prints_the_traceback_of_a_fault_and_only_it(monkeypatch, capsys):
    def splits(self):
        raise KeyError("no such split")

    monkeypatch.setattr(Digits, "splits", guarded(splits, "splits"))
    assert command("train", "--dry_run") == 2
    shown = capsys.readouterr().err
    assert "splits raised KeyError: 'no such split' (file" in shown and "Traceback" not in shown
    assert command("train", "--dry_run", "--debug") == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown and "splits raised KeyError" in shown


def test_a_split_that_is_an_array_is_refused():
    class Bare(Points):
        def splits(self):
            return {"train": self.rows}

    with pytest.raises(PluginFault, match=r"Bare: the split 'train' is a ndarray, not a tfdgm.Source; ArraySource"):
        points_experiment(data=Bare(rows=normal_rows()))


def test_an_adversary_without_an_optimizer_is_refused():
    objective = MeanGame(network=MLP(hidden=()))
    objective.optimizer = None
    with pytest.raises(UserError, match=r"MeanGame has an adversary \(critic_steps = 3\), but no optimizer"):
        gan_experiment(objectives=[objective])


def test_a_static_method_of_a_contract_stays_one():
    class Static(GaussianLikelihood):
        @staticmethod
        def output_shape(data):
            return data.shape

    assert (
        points_experiment(likelihood=Static(scale=0.5)).build().model.outputs(tf.zeros([4, 2]), context()).shape[1] == 3
    )


def test_a_wrong_result_of_a_traced_method_is_named():
    class Traced(GaussianLikelihood):
        @tf.function
        def distribution(self, outputs):
            return outputs

    with pytest.raises(PluginFault, match=r"Traced: distribution returned a .*Tensor of .*, not a tfd\.Distribution"):
        points_experiment(likelihood=Traced(scale=0.5)).build().model.decode(tf.zeros([4, 2]), context())


def test_data_may_make_a_classifier_of_keras():
    class Classified(Points):
        def features(self):
            layer = keras.layers.Dense(2)
            return lambda x: layer(x).numpy()

    assert Classified(rows=normal_rows()).features()(normal_rows(4)).shape == (4, 2)


def test_a_component_that_misspells_a_name_of_its_contract_is_refused_before_anything_is_built():
    class Almost(GaussianPrior):
        need_posterior = True

    with pytest.raises(PluginFault, match=r"Almost defines 'need_posterior', which tfdgm.Prior .* 'needs_posterior'\?"):
        points_experiment(prior=Almost())
