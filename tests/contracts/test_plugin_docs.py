"""Every code block of docs/plugins.md runs."""

import ast
import inspect
import math
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import command, gan_experiment, points_experiment, silent
from tensorflow_probability import distributions as tfd
from tfdgm_callbacks.early_stopping import EarlyStopping
from tfdgm_callbacks.tensorboard import TensorBoardDetails

import tfdgm
from tfdgm.evaluation.score_set import ScoreSet
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.testing import PriorTests
from tfdgm.training.trainer import Trainer

PAGE = (Path(tfdgm.__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(block).strip() for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE)]
CLASSES = {
    re.search(r"class (\w+)", block)[1]: block for block in BLOCKS if "class " in block and "Tests)" not in block
}
MODULES = {"Any": Any, "Mapping": Mapping, "keras": keras, "math": math, "np": np, "tf": tf, "tfd": tfd}
NAMES = {**MODULES, **{name: getattr(tfdgm, name) for name in tfdgm.__all__}}


def defined(block):
    namespace = dict(NAMES)
    exec(block, namespace)
    return namespace


def instance(name):
    return defined(CLASSES[name])[name]()


def trained(tmp_path, **parts):
    result = Trainer(points_experiment(steps=20, **parts).build(), tmp_path, silent).train()
    assert result.step == 20 and result.reason is None


@pytest.mark.parametrize(
    "name, setting",
    {
        "StudentT": "prior",
        "Logistic": "posterior",
        "Laplace": "likelihood",
        "Capacity": "objectives",
        "Affine": "decoder",
        "Circle": "data",
        "RateCrossing": "callbacks",
        "Brightness": "scores",
        "Moments": "prior",
    }.items(),
)
def test_the_example_trains(name, setting, tmp_path):
    example = instance(name)
    trained(tmp_path, **{setting: [example] if setting in ("objectives", "callbacks", "scores") else example})


def test_the_example_of_a_score_is_reported(tmp_path):
    built = gan_experiment(scores=[instance("Brightness")]).build()
    run = SplitEvaluation(built, "test")
    scores = ScoreSet(built.experiment)
    scores.scores = scores.scores[-1:]
    examples, generated = run.comparison.flat()
    assert scores.compute(run) == {"brightness_gap": abs(generated.mean() - examples.mean())}


def test_the_example_of_a_listed_score_resolves():
    (block,) = (block for block in BLOCKS if block.startswith("experiment.scores"))
    assert command("train", "--dry_run", f"--gin_bindings={block}") == 0


def test_the_examples_of_tests_make_classes_of_the_kit():
    blocks = [block for block in BLOCKS if "Tests)" in block]
    names = {**NAMES, "pytest": pytest, "StudentT": defined(CLASSES["StudentT"])["StudentT"]}
    for block in blocks:
        exec(block, names)
    assert issubclass(names["TestStudentT"], PriorTests) and issubclass(names["TestPlain"], PriorTests)
    assert len(blocks) == 2


def test_no_example_is_left_out():
    (parametrized,) = (mark for mark in test_the_example_trains.pytestmark if mark.name == "parametrize")
    assert {name for name, _ in parametrized.args[1]} == set(CLASSES)


def test_the_example_of_modes_assigns_points_to_the_nearest_gaussian():
    (block,) = (block for block in BLOCKS if block.startswith("def modes"))
    modes = defined(block)["modes"](None)
    nearest, good = modes.assign(np.array([[-1.2], [0.9], [0.1]]))
    assert modes.count == 2 and nearest.tolist() == [0, 1, 1] and good.tolist() == [True, True, False]
    assert modes.expected_high_quality == pytest.approx(math.erf(3 / math.sqrt(2)), abs=1e-4)


@pytest.mark.parametrize("name, kind", {"early_stopping": EarlyStopping, "tensorboard": TensorBoardDetails}.items())
def test_the_example_of_a_callback_shows_every_parameter_with_its_default(name, kind):
    (block,) = (block for block in BLOCKS if block.startswith(f"experiment.callbacks = [@callback.{name}()]"))
    assert command("train", "--dry_run", f"--gin_bindings={block}") == 0
    shown = re.findall(rf"^callback\.{name}\.(\w+) = ([^#]*?) *(?:#|$)", block, re.MULTILINE)
    defaults = inspect.signature(kind).parameters.values()
    assert {name: ast.literal_eval(value) for name, value in shown} == {each.name: each.default for each in defaults}
