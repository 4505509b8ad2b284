"""Variables that a plugin makes where they would be neither trained nor saved are refused with their place."""

import dataclasses

import keras
import pytest
import tensorflow as tf
from small import GaussianPrior, context, points_experiment
from tensorflow_probability import distributions as tfd
from tfdgm_networks.mlp import MLP

from tfdgm.errors import PluginFault

LOST = r"the variable '.*' of shape \(2,\) \(file \".*test_made_variables\.py\", line \d+\) is not found below the comp"


@dataclasses.dataclass
class Holder:
    """An object that the search for variables does not enter."""

    mean: object


class Closure(GaussianPrior):
    def build(self, context):
        super().build(context)
        mean = keras.Variable(tf.zeros([2]))
        self.shifted = lambda: tfd.Independent(tfd.Normal(mean.value, 1.0), 1)

    def distribution(self, context):
        return self.shifted()


class Dataclass(GaussianPrior):
    def build(self, context):
        super().build(context)
        self.holder = Holder(tf.Variable(tf.zeros([2])))


class InSet(GaussianPrior):
    def build(self, context):
        super().build(context)
        self.means = frozenset([Holder, keras.Variable(tf.zeros([2])).value.ref()])


class Module(GaussianPrior):
    def build(self, context):
        super().build(context)
        self.module = tf.Module()
        self.module.mean = tf.Variable(tf.zeros([2]))


class InDict(GaussianPrior):
    def build(self, context):
        super().build(context)
        self.parts = {"means": [keras.Variable(tf.zeros([2]))]}


@pytest.mark.parametrize("prior", [Closure, Dataclass, InSet, Module])
def test_a_variable_that_is_not_found_is_refused_with_its_place(prior):
    with pytest.raises(PluginFault, match=LOST):
        points_experiment(prior=prior()).build()


def test_variables_in_lists_and_dicts_are_found():
    built = points_experiment(prior=InDict()).build()
    assert any(name.startswith("model/prior/parts/means/0") for name in built.state.variables)


class MakesInCall(GaussianPrior):
    def distribution(self, context):
        return tfd.Independent(tfd.Normal(tf.Variable(tf.zeros([2])), 1.0), 1)


class UnbuiltLayer(MLP):
    def build(self, input_shape, output_shape, context):
        super().build(input_shape, output_shape, context)
        self.last = keras.layers.Dense(output_shape[0])

    def __call__(self, x, context):
        return self.last(super().__call__(x, context))


class MakesInInit(GaussianPrior):
    def __init__(self):
        super().__init__()
        self.extra = keras.Variable(tf.zeros([2]))


def test_a_variable_made_in_a_call_or_constructor_is_refused_with_its_place():
    with pytest.raises(PluginFault, match=r": distribution makes a variable \(file .*made_variables\.py"):
        points_experiment(prior=MakesInCall()).build()
    built = points_experiment(decoder=UnbuiltLayer(hidden=())).build()
    with pytest.raises(PluginFault, match=r": __call__ makes a variable .*layer\.build\(shape\)"):
        built.model.decode(tf.zeros([4, 2]), context())
    with pytest.raises(PluginFault, match=r": __init__ makes the variable .* of shape \(2,\) .*; make it in build"):
        MakesInInit()
