"""The settings that a caller gives by keyword."""

import numpy as np
import pytest

from tfdgm import UserError
from tfdgm.api.given_settings import setting_statements, statements_of
from tfdgm.configuration.gin_parser import read_statements


def statements(**settings):
    before = read_statements(["digits/vae.gin"])
    return list(setting_statements(settings, before))


def refused(**settings):
    with pytest.raises(UserError) as raised:
        statements(**settings)
    return str(raised.value)


def test_an_argument_that_the_config_reads_from_a_macro_sets_the_macro():
    assert statements(steps=7, seed=3) == ["steps = 7", "experiment.seed = 3"]


def test_numbers_of_numpy_and_nested_values_are_written_as_python_would():
    assert statements(latent_size=np.int64(3), clip_norm=np.float64(0.5), keep_best="validation_elbo") == [
        "experiment.latent_size = 3", "experiment.clip_norm = 0.5", "experiment.keep_best = 'validation_elbo'",
    ]  # fmt: skip
    bindings = {"encoder/network.mlp.hidden": (np.int32(4), 5), "prior.gaussian.per_condition": True}
    assert statements_of(bindings) == ["encoder/network.mlp.hidden = (4, 5)", "prior.gaussian.per_condition = True"]


def test_plugins_are_given_by_name():
    assert statements(encoder="conv", likelihood="gaussian", scores="mmd", callbacks=["early_stopping"]) == [
        "experiment.encoder = @encoder/network.conv()",
        "experiment.likelihood = @likelihood.gaussian()",
        "experiment.scores = [@score.mmd()]",
        "experiment.callbacks = [@callback.early_stopping()]",
    ]


def test_bindings_are_a_text_or_several_or_a_dict():
    assert statements_of("a = 1\nb = 2") == ["a = 1\nb = 2"]
    assert statements_of(["a = 1", "b = 2"]) == statements_of({"a": 1, "b": 2}) == ["a = 1", "b = 2"]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"step": 3}, "tfdgm.train has no argument 'step'. Did you mean 'steps'"),
        ({"bindngs": ""}, "Did you mean 'bindings'"),
        ({"encoder": "cnv"}, "there is no network named 'cnv'. Did you mean 'conv'"),
        ({"optimizer": object()}, "(object) cannot be written into a config: give a number"),
        ({"clip_norm": float("nan")}, "clip_norm = nan (float) cannot be written"),
        ({"scores": [3, object()]}, "cannot be written"),
    ],
)
def test_other_settings_are_refused(settings, message):
    assert message in refused(**settings)
