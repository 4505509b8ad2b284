"""Checked hyperparameters and named variables."""

import math
from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import assert_same_tensors, points_experiment
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_priors.gaussian import Gaussian as GaussianPrior

from tfdgm import AnyFloat, Component, Network, UserError
from tfdgm.contracts.component import components, fits, named_variables, raw, trainable
from tfdgm.contracts.schedule import Schedule, scheduled

SCHEDULE = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)


@pytest.mark.parametrize(
    "value, hint, expected",
    [
        (1, int, True), (True, int, False), (1.0, int, False), ("1", int, False),
        (1, float, True), (1.5, float, True), (True, float, False), ("x", float, False),
        (True, bool, True), (1, bool, False), ("a", str, True), (None, str, False),
        (None, int | None, True), (3, int | None, True), ("3", int | None, False),
        ((1, 2), Sequence[int], True), ([1, 2], Sequence[int], True), ((), Sequence[int], True),
        ((1, True), Sequence[int], False), ((1, "a"), Sequence[int], False), ("12", Sequence[str], False),
        ([1], list[int], True), ((1,), list[int], True), ([1.5], list[int], False),
        ("a", Literal["a", "b"], True), ("c", Literal["a", "b"], False),
        (math.nan, float, False), (math.inf, float, False), (-math.inf, float, False), (1e39, float, False),
        (3.4e38, float, True), (-3.5e38, float, False), (10**39, float, False), (10**400, float, False),
        (2**63 - 1, int, True), (-(2**63), int, True), (2**63, int, False), (-(2**63) - 1, int, False),
        (math.nan, float | None, False), (math.inf, Schedule, False), ((1.0, math.nan), Sequence[float], False),
        (math.nan, AnyFloat, True), (-math.inf, AnyFloat, True), (1e39, AnyFloat | None, True), ("x", AnyFloat, False),
        (True, AnyFloat, False), (2.0, Literal[2, 3], False), (True, Literal[1, 2], False), (2, Literal[2, 3], True),
        (SCHEDULE, Schedule, True), (0.5, Schedule, True), ("warm", Schedule, False),
    ],
)  # fmt: skip
def test_a_value_fits_its_annotation_or_not(value, hint, expected):
    assert fits(value, hint) is expected


def test_a_hyperparameter_of_the_wrong_type_is_refused_by_name():
    with pytest.raises(UserError, match=r"hidden must be a list of int, got 256 \(int\)"):
        MLP(hidden=256)
    with pytest.raises(UserError, match="learned_mean must be bool, got 1"):
        GaussianPrior(learned_mean=1)
    with pytest.raises(UserError, match="hiden"):
        MLP(hiden=(3,))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scale": math.nan}, r"scale must be float, got nan \(float\), which is not finite in float32"),
        ({"scale": -1e39}, r"scale must be float, got -1e\+39 \(float\), which is not finite in float32"),
        ({"scale": "inf"}, r"scale must be float, got 'inf' \(str\)$"),
        ({"count": 2**63}, r"count must be int, got 9223372036854775808 \(int\), which does not fit into int64"),
        ({"limit": "far"}, r"limit must be float or None, got 'far' \(str\)$"),
    ],
)
def test_numbers_that_tensors_cannot_hold_are_refused_unless_the_parameter_allows_them(settings, message):
    class Numbers(Component):
        def __init__(self, *, scale: float = 1.0, count: int = 1, limit: AnyFloat | None = None) -> None:
            self.limit = limit

    with pytest.raises(UserError, match=message):
        Numbers(**settings)
    assert Numbers(limit=math.inf).limit == math.inf


def test_a_component_without_its_required_hyperparameter_is_refused():
    class Needy(Component):
        def __init__(self, *, path: str) -> None:
            self.path = path

    with pytest.raises(UserError, match=r"Needy.*path"):
        Needy()


def test_the_path_of_a_variable_follows_the_attributes():
    built = points_experiment(prior=GaussianPrior(learned_mean=True)).build()
    assert set(named_variables(built.model, "model")) == {
        "model/prior/mean", "model/prior/log_scale", "model/likelihood/log_scale",
        "model/decoder/layers/0/0_kernel", "model/decoder/layers/0/1_bias",
        "model/encoder/layers/0/0_kernel", "model/encoder/layers/0/1_bias",
    }  # fmt: skip
    assert "model/prior/mean" in built.parameters() and "model/prior/log_scale" not in built.parameters()


def test_names_in_a_checkpoint_do_not_depend_on_layers_built_before():
    first = list(points_experiment().build().state.variables)
    for _ in range(3):
        keras.layers.Dense(2).build((None, 2))  # Keras numbers layers across the whole process
    assert list(points_experiment().build().state.variables) == first


def test_a_variable_reached_by_two_paths_is_listed_once():
    class Pair(Component):
        pass

    pair = Pair()
    pair.one = pair.two = keras.Variable(tf.zeros([2]))
    pair.more = [pair.one, {"key": keras.Variable(tf.zeros([1]))}]
    assert list(named_variables(pair, "p")) == ["p/one", "p/more/1/key"]


def test_components_are_found_once_even_in_a_circle():
    class Node(Component):
        pass

    first, second = Node(), Node()
    first.other, second.other, first.list = second, first, [second, {"again": first}]
    assert components(first) == [first, second]
    assert named_variables(first) == {}


def test_variables_of_tensorflow_and_of_keras_are_both_found():
    class Mixed(Component):
        pass

    mixed = Mixed()
    mixed.keras, mixed.tf = keras.Variable(tf.zeros([2])), tf.Variable([1.0], trainable=False)
    found = named_variables(mixed)
    assert list(found) == ["keras", "tf"] and list(trainable(found)) == ["keras"]
    assert isinstance(raw(found["keras"]), tf.Variable) and raw(found["tf"]) is mixed.tf


def test_the_same_seed_gives_the_same_initial_weights_and_another_others():
    def initial(seed):
        made = points_experiment(seed=seed, encoder=MLP(hidden=(5,))).build()
        return {name: raw(variable).numpy() for name, variable in made.parameters().items()}

    first = initial(3)
    assert_same_tensors(first, initial(3))
    other = initial(4)
    kernels = [name for name in first if "kernel" in name]
    assert len(kernels) == 3
    for name in kernels:
        assert (first[name] != other[name]).all(), name


def test_layers_of_one_shape_start_with_different_weights():
    made = points_experiment(encoder=MLP(hidden=(4, 4, 4)), decoder=MLP(hidden=(4, 4))).build()
    kernels = [layer.kernel.numpy() for net in (made.model.encoder, made.model.decoder) for layer in net.layers]
    square = [kernel for kernel in kernels if kernel.shape == (4, 4)]
    assert len(square) == 4  # the encoder's last one gives two means and two scales
    for i, one in enumerate(square):
        assert all((one != other).any() for other in square[:i])


def test_building_moves_no_generator_of_the_process():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    points_experiment().build()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_schedule_is_evaluated_at_the_step_and_a_number_is_constant():
    assert float(scheduled(SCHEDULE, tf.constant(5, tf.int64))) == 0.5
    assert float(scheduled(0.25, tf.constant(5, tf.int64))) == 0.25


def test_objectives_of_one_class_get_distinct_names():
    made = points_experiment(objectives=[ELBO(), ELBO(beta=0.5), ELBO()])
    assert list(made.objectives) == ["elbo", "elbo_2", "elbo_3"]


def test_a_network_without_a_build_cannot_be_instantiated():
    class Half(Network):
        def __call__(self, x, context):
            return x

    with pytest.raises(TypeError, match="build"):
        Half()
