"""`tfdgm plugins`: list, show and new."""

import ast
import email
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from small import command

from tfdgm.contracts.registry import KINDS, Plugin, find, load, select
from tfdgm.testing.catalogue_of_checks import checks_of


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("arguments", [[], ["list"], ["list", "--check"]])
def test_the_list_names_every_plugin_with_its_package(arguments, capsys):
    assert command("plugins", *arguments) == 0
    out = capsys.readouterr().out
    for plugin in find():
        assert plugin.gin_name in out
        assert plugin.package in out and plugin.version in out


@pytest.mark.parametrize("plugin", find(), ids=lambda plugin: plugin.gin_name)
def test_a_plugin_is_shown_with_its_parameters_and_defaults(plugin, capsys):
    import inspect

    assert command("plugins", "show", plugin.qualified_name) == 0
    out = capsys.readouterr().out
    for parameter in inspect.signature(load(plugin)).parameters.values():
        assert f"{plugin.gin_name}.{parameter.name}" in out
        if parameter.default is not parameter.empty:
            assert repr(parameter.default) in out
    assert load(plugin).__doc__.strip().splitlines()[0] in out


def test_a_scalar_that_may_follow_a_schedule_is_shown_as_one(capsys):
    assert command("plugins", "show", "objective.elbo") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "objective.elbo.beta" in line)
    assert "number or schedule" in line and "keras" not in line


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["shwo", "prior.gaussian"], "Did you mean 'show'"),
        (["show", "prior.gausian"], "Did you mean 'gaussian'"),
        (["show"], "takes one"),
        (["list", "more"], "takes no argument"),
        (["check"], "takes one"),
        (["check", "prior.gausian"], "Did you mean 'gaussian'"),
        (["check", "data.npz"], "missing a required argument: 'path'"),
        (["check", "prior.maf", "--gin_bindings=prior.maf.num_bijector = 1"], "Did you mean 'num_bijectors'"),
        (["check", "prior.maf", "--gin_bindings=prior.maf.num_bijectors = 0"], "prior.maf"),
        (["check", "score.wasserstein", "--gin_bindings=score.wasserstein.samples = 0"], "samples must be at least 1"),
        (["check", "objective.jsd", "--gin_bindings=network.mlp.hidden = (3,)"], "objective.jsd does not use it"),
        (["check", "prior.maf", "--gin_bindings=experiment.seed = 3"], "no effect on prior.maf alone"),
        (["show", "prior.maf", "--gin_bindings=prior.maf.num_bijectors = 1"], "tfdgm plugins check takes it"),
        (["new", "priors.mine"], "Did you mean 'prior'"),
        (["new", "prior.Mine"], "lower-case"),
        (["new", "prior.my-prior"], "identifier"),
        (["new", "prior._"], "no name of a class"),
        (["new", "data.none"], "no name of a class"),
        (["new", "prior.mine", "--output=nowhere"], "no folder nowhere"),
    ],
)
def test_a_user_error_is_one_message_and_code_2(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert command("plugins", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_check_prints_every_check_and_how_many_ran(capsys):
    assert command("plugins", "check", "data.ring", "--gin_bindings=data.ring.modes = 5") == 0
    out = capsys.readouterr().out
    for check in checks_of("data"):
        assert f"  {check.name}: " in out
    counts = re.search(r"^(\d+) checks ran: (\d+) passed, 0 failed; (\d+) skipped$", out, re.MULTILINE)
    assert int(counts[1]) == int(counts[2]) == len(re.findall("^pass  ", out, re.MULTILINE))
    assert int(counts[1]) + int(counts[3]) == len(checks_of("data"))


def test_check_exits_with_1_and_prints_demand_and_cure_of_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(load(select("data.ring")), "describe", lambda self: {"rows": object()})
    assert command("plugins", "check", "data.ring") == 1
    out = capsys.readouterr().out
    assert "fail  description_is_json: data.ring.describe: " in out
    assert "demand: `describe` returns" in out and "cure: Return plain numbers" in out and ", 1 failed;" in out


def test_one_cause_that_stops_many_checks_is_told_once(capsys, monkeypatch):
    def build(self, context):
        raise ValueError("no such shape")

    monkeypatch.setattr(load(select("prior.uniform")), "build", build)
    assert command("plugins", "check", "prior.uniform") == 1
    *lines, last = capsys.readouterr().out.splitlines()
    told = [line for line in lines if "ValueError: no such shape" in line]
    assert len(told) == 2  # by the first check, and with the list of the others
    assert told[0].startswith("fail  ") and "for the same reason" in told[1]
    names = re.search(r"(\d+) other check\(s\) did not run: (.*)", told[1])
    assert len(names[2].split(", ")) == int(names[1]) > 10
    assert last.endswith(f"; {names[1]} did not run") and ", 1 failed;" in last


def test_the_commands_for_a_new_package_are_quoted_for_a_shell(tmp_path, capsys):
    parent = tmp_path / "my plugins"
    parent.mkdir()
    assert command("plugins", "new", "prior.brand_new", f"--output={parent}") == 0
    lines = capsys.readouterr().out.splitlines()
    folder = parent / "tfdgm-brand-new"
    assert shlex.split(lines[0].partition("with: ")[2]) == ["pip", "install", "-e", str(folder)]
    assert shlex.split(lines[2])[1:] == ["tfdgm", "train", f"--gin_file={folder}/examples/brand_new.gin"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_loads_unchanged_and_uses_only_public_names(tmp_path, monkeypatch, kind):
    name = f"brand_new_{kind}"
    assert command("plugins", "new", f"{kind}.{name}", f"--output={tmp_path}") == 0
    (folder,) = tmp_path.iterdir()
    (module,) = (path.parent for path in folder.rglob("__init__.py"))
    for node in ast.walk(ast.parse((module / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.module.startswith("tfdgm.")
    project = (folder / "pyproject.toml").read_text()
    target = project.partition(f"{name} = ")[2].splitlines()[0].strip('"')
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    try:
        loaded = load(Plugin(kind, name, folder.name, "0.1.0", target))
        assert loaded.__doc__
        loaded()  # every hyperparameter has a default
    finally:
        sys.modules.pop(module.name, None)


def test_a_new_package_overwrites_nothing(tmp_path, capsys):
    assert command("plugins", "new", "prior.mine", f"--output={tmp_path}") == 0
    (folder,) = tmp_path.iterdir()
    (folder / "pyproject.toml").write_text("mine")
    assert command("plugins", "new", "prior.mine", f"--output={tmp_path}") == 2
    assert (folder / "pyproject.toml").read_text() == "mine"
    assert "already exists" in capsys.readouterr().err


@pytest.fixture(scope="module")
def new_packages(tmp_path_factory):
    """The folder of a new package by kind."""
    root = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        assert command("plugins", "new", f"{kind}.brand_new_{kind}", f"--output={root}") == 0
    return {kind: root / f"tfdgm-brand-new-{kind}" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_no_placeholder_is_left_in_a_new_package(new_packages, kind):
    files = [path for path in new_packages[kind].rglob("*") if path.is_file()]
    assert len(files) == 8
    for path in files:
        left = re.findall(
            r"\b(?:PACKAGE|NAME|VERSION|YEAR|STATEMENTS|BINDINGS|Example\w+|example_module)\b", path.read_text()
        )
        assert left == [], path
    licence = (new_packages[kind] / "LICENSE").read_text()
    assert f"the authors of tfdgm-brand-new-{kind}\n" in licence and "WARRANTY OF ANY KIND" in licence


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
def test_new_packages_pass_the_linter_of_their_ci(new_packages):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", *map(str, new_packages.values())],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


PUBLISHED = """
import json, sys
import pytest
from tfdgm.cli.main import main

arguments, commands = json.loads(sys.argv[1])
assert pytest.main(arguments) == 0
for command in commands:
    assert main(command) == 0, command
"""


@pytest.mark.slow
def test_wheels_of_new_packages_pass_their_tests_and_train_with_their_examples(new_packages, tmp_path):
    """A minute: eight wheels, then one process for all their tests and trainings."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    wheels = ["wheel", *offline, "--no-build-isolation", f"--wheel-dir={tmp_path}", *map(str, new_packages.values())]
    subprocess.run([*pip, *wheels], check=True)
    installed = tmp_path / "site"
    files = [str(path) for path in tmp_path.glob("*.whl")]
    subprocess.run([*pip, "install", *offline, f"--target={installed}", *files], check=True)
    for kind in KINDS:
        metadata = email.message_from_string(
            (installed / f"tfdgm_brand_new_{kind}-0.1.0.dist-info" / "METADATA").read_text()
        )
        assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "LICENSE")
        assert metadata.get_all("Provides-Extra") == ["test"]

    steps = "steps = 4\nexperiment.steps_per_loop = 2\nexperiment.batch_size = 8\nnetwork.mlp.hidden = (8,)"
    trainings = [
        ["train", f"--gin_file={next(folder.glob('examples/*.gin'))}", f"--workdir={tmp_path / 'runs' / kind}",
         f"--gin_bindings={steps}"]
        for kind, folder in new_packages.items()
    ]  # fmt: skip
    tests = ["-p", "no:cacheprovider", "-q", *(str(folder / "tests") for folder in new_packages.values())]
    done = subprocess.run(
        [sys.executable, "-c", PUBLISHED, json.dumps([tests, trainings])],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed > 8 * 10
    for kind in KINDS:
        facts = json.loads((tmp_path / "runs" / kind / "run.json").read_text())
        plugin = facts["plugins"][f"{kind}.brand_new_{kind}"]
        assert plugin == {"distribution": f"tfdgm-brand-new-{kind}", "version": "0.1.0"}
        scores = json.loads((tmp_path / "runs" / kind / "eval.json").read_text())
        assert scores["step"] == 4 and scores["brand_new_score"] > 0  # an installed score is computed in every run
