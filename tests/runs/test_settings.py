"""The arguments of `experiment`: one signature says which ones a resumed run may change."""

import dataclasses
import inspect
import typing
from pathlib import Path

import pytest

import tfdgm
from tfdgm import experiment
from tfdgm.parallel.strategies import Placement
from tfdgm.runs.experiment_arguments import experiment_arguments, extendable_arguments, free_arguments
from tfdgm.runs.same_run import differences
from tfdgm.runs.settings import PLACEMENT, Extendable, Free

HINTS = typing.get_type_hints(experiment, include_extras=True)
DEFAULTS = {name: each.default for name, each in inspect.signature(experiment).parameters.items()}


def test_free_arguments_read_from_the_source_are_those_annotated_as_free():
    marked = [name for name in DEFAULTS if getattr(HINTS[name], "__metadata__", None) == Free[int].__metadata__]
    assert list(free_arguments()) == marked
    assert set(PLACEMENT) < set(marked)


def test_arguments_that_change_the_results_are_not_free():
    fixed = {"seed", "steps", "batch_size", "shards", "steps_per_loop", "validate_every", "recoveries", "optimizer"}
    assert fixed & set(free_arguments()) == set()


def test_extendable_arguments_are_those_annotated_so_and_affect_further_steps_only():
    marked = [name for name in DEFAULTS if getattr(HINTS[name], "__metadata__", None) == Extendable[int].__metadata__]
    assert list(extendable_arguments()) == marked == ["steps", "optimizer", "steps_per_loop", "validate_every"]


EXTENDED = [
    "steps = 2", "experiment.steps = %steps", "experiment.validate_every = 7", "keras.optimizers.Adam.beta_1 = 0.1",
    "warm/keras.optimizers.schedules.CosineDecay.decay_steps = %steps", "callback.early_stopping.patience = %steps",
    "objective.jsd.optimizer = @keras.optimizers.Adam()",
]  # fmt: skip


@pytest.mark.parametrize("line", EXTENDED)
def test_an_extended_run_may_change_steps_optimizers_schedules_and_callbacks(line):
    text = "\n".join(["experiment.seed = 1", *EXTENDED])
    changed = text.replace(line, line.rpartition(" ")[0] + " 5")
    assert changed != text and differences(text, changed, extending=True) == []


@pytest.mark.parametrize("line", ["experiment.batch_size = 5", "objective.elbo.beta = 5", "prior.maf.size = %steps"])
def test_an_extended_run_may_not_change_anything_else(line):
    text = "\n".join(["experiment.seed = 1", *EXTENDED])
    assert f"+{line}" in differences(text, f"{text}\n{line}", extending=True)
    assert "+experiment.seed = 2" in differences(text, text.replace("seed = 1", "seed = 2"), extending=True)


def test_the_placement_has_the_defaults_of_experiment():
    fields = {field.name: field.default for field in dataclasses.fields(Placement)}
    assert fields == {name: DEFAULTS[name] for name in PLACEMENT}


@pytest.mark.parametrize("name", experiment_arguments())
def test_a_resumed_run_may_change_free_arguments_only(name):
    changed = differences(f"experiment.{name} = 1\n", f"experiment.{name} = 2\n")
    assert (changed == []) == (name in free_arguments())
    assert differences(f"experiment.{name}_x = 1\n", f"experiment.{name}_x = 2\n") != []


def test_a_resumed_run_may_change_a_macro_that_only_free_statements_read():
    saved = "patience = 3\n\ncallback.early_stopping.patience = %patience\nexperiment.seed = 3\n"
    assert differences(saved, saved.replace("= 3\n\n", "= 5\n\n")) == []
    assert differences("experiment.seed = 3\n", saved) == []
    read = saved + "experiment.latent_size = %patience\n"
    assert differences(read, read.replace("= 3\n\n", "= 5\n\n")) != []
    chained = "wait = 3\npatience = %wait\ncallback.early_stopping.patience = %patience\n"
    assert differences(chained, chained.replace("wait = 3", "wait = 4")) == []


def test_every_argument_of_experiment_is_documented():
    page = (Path(tfdgm.__file__).parents[1] / "docs" / "configuration.md").read_text()
    assert [name for name in experiment_arguments() if f"`{name}`" not in page] == []


CALLBACKS = """experiment.callbacks = \\
    [@first/callback.early_stopping(), @second/callback.early_stopping(),
     @third/callback.early_stopping()]
experiment.seed = 3

first/callback.early_stopping.patience = 3
"""


def test_a_resumed_run_may_change_callbacks_over_several_lines_and_in_scopes():
    assert differences("experiment.seed = 3\n", CALLBACKS) == []
    assert differences(CALLBACKS, CALLBACKS.replace("patience = 3", "patience = 4")) == []
    assert differences(CALLBACKS, CALLBACKS.replace("seed = 3", "seed = 4"))[2:] == [
        "-experiment.seed = 3", "+experiment.seed = 4",
    ]  # fmt: skip


def test_every_line_of_a_fixed_setting_counts():
    saved = "experiment.objectives = \\\n    [@objective.elbo(),\n     @objective.jsd()]\n"
    assert "-@objective.jsd()]" in differences(saved, saved.replace("jsd", "wasserstein"))
