"""Optimizers and schedules of Keras in a config: which are available, and which values are refused."""

import inspect

import keras
import pytest

from tfdgm import UserError
from tfdgm.configuration.config_files import DEFAULT_CONFIG
from tfdgm.configuration.keras_objects import find_configurable, usable
from tfdgm.configuration.resolve import read_config

ADAM, COSINE = "keras.optimizers.Adam", "keras.optimizers.schedules.CosineDecay"
#: Values of the parameters that have no default.
NEEDED = {"boundaries": [10], "values": [1.0, 2.0]}


def optimizer(*bindings):
    return read_config([DEFAULT_CONFIG], bindings).experiment().optimizer


def refused(*bindings):
    with pytest.raises(UserError) as raised:
        optimizer(*bindings)
    return str(raised.value)


@pytest.mark.parametrize("selector", usable())
def test_every_class_is_made_from_its_own_defaults(selector):
    signature = inspect.signature(usable()[selector])
    values = {
        p.name: NEEDED.get(p.name, 10) if p.default is p.empty else p.default
        for p in signature.parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    }
    assert type(find_configurable(selector)(**values)) is usable()[selector]


def test_an_int_is_accepted_as_a_float():
    made = optimizer(f"{ADAM}.learning_rate = 1\n{ADAM}.epsilon = 1")
    assert float(made.learning_rate) == 1.0 and made.epsilon == 1.0
    assert float(optimizer(f"{COSINE}.initial_learning_rate = 1")._learning_rate(0)) == 1.0


@pytest.mark.parametrize(
    "binding, message",
    [
        (f"{ADAM}.learning_rate = 'fast'", f"{ADAM}.learning_rate must be float or LearningRateSchedule, got 'fast'"),
        (f"{ADAM}.learning_rate = -1e-3", f"{ADAM}.learning_rate must not be negative, got -0.001"),
        (f"{ADAM}.learning_rate = @data.ring()", f"{ADAM}.learning_rate must be float or LearningRateSchedule"),
        (f"{ADAM}.beta_1 = 'x'", f"{ADAM}.beta_1 must be float, got 'x'"),
        (f"{ADAM}.beta_1 = 1", f"{ADAM}.beta_1 must be in [0, 1), got 1"),
        (f"{ADAM}.beta_2 = -0.5", f"{ADAM}.beta_2 must be in [0, 1), got -0.5"),
        (f"{ADAM}.epsilon = 0.0", f"{ADAM}.epsilon must be positive, got 0.0"),
        (f"{ADAM}.amsgrad = 1", f"{ADAM}.amsgrad must be bool, got 1"),
        (f"{ADAM}.weight_decay = []", f"{ADAM}.weight_decay must be float or None, got []"),
        (f"{ADAM}.name = 3", f"{ADAM}.name must be str or None, got 3"),
        (f"{ADAM}.name = 'a/b'", f"{ADAM}: Argument `name` must be a string and cannot contain character `/`"),
        (f"{ADAM}.ema_overwrite_frequency = 1.5", f"{ADAM}.ema_overwrite_frequency must be int or None"),
        (f"{ADAM}.loss_scale_factor = 2.0", f"{ADAM}.loss_scale_factor is not supported"),
        (f"{COSINE}.decay_steps = 0", f"{COSINE}.decay_steps must be positive, got 0"),
        (f"{COSINE}.warmup_steps = 1.5", f"{COSINE}.warmup_steps must be int, got 1.5"),
        (
            "experiment.optimizer = @keras.optimizers.SGD()\nkeras.optimizers.SGD.momentum = 2",
            "keras.optimizers.SGD: `momentum` must be a float between [0, 1]",
        ),
        (
            f"{ADAM}.learning_rate = @keras.optimizers.schedules.ExponentialDecay()",
            "keras.optimizers.schedules.ExponentialDecay requires initial_learning_rate and decay_steps and decay_rate",
        ),
        (f"{ADAM}.kwargs = 3", f"{ADAM} has no parameter 'kwargs'"),
        (f"{ADAM}.self = 3", f"{ADAM} has no parameter 'self'"),
        ("experiment.optimizer = @keras.optimizers.Adm()", "Did you mean 'keras.optimizers.Adam'"),
        ("experiment.optimizer = @keras.optimizers.Optimizer()", "is not supported: it is abstract"),
        ("experiment.optimizer = @keras.optimizers.MultiOptimizer()", "is not supported: each player has one"),
        (
            "experiment.optimizer = @keras.optimizers.LossScaleOptimizer()",
            "is not supported: the training step does not multiply losses by the scale",
        ),
        ("experiment.optimizer = @keras.layers.Dense()", "keras.layers.Dense does not exist"),
        ("keras.x = 3", "'keras'"),
    ],
)
def test_a_value_that_keras_would_take_or_not_explain_is_refused(binding, message):
    assert message in refused(binding)


def test_a_loss_scale_would_shrink_the_gradients():
    """The reason for the refusal: `apply` divides by a scale that nothing puts on the loss."""
    variable = keras.Variable([1.0])
    made = keras.optimizers.SGD(learning_rate=1.0, loss_scale_factor=4.0)
    made.apply([keras.ops.convert_to_tensor([1.0])], [variable])
    assert float(variable[0]) == 0.75
