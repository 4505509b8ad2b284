"""`tfdgm plugins`: list, show and new."""

import ast
import importlib
import os
import re
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


@pytest.mark.slow
def test_new_packages_pass_the_tests_that_are_written_with_them(tmp_path):
    folders = []
    for kind in KINDS:
        assert command("plugins", "new", f"{kind}.brand_new_{kind}", f"--output={tmp_path}") == 0
        folders.append(tmp_path / f"tfdgm-brand-new-{kind}")
    assert all("experiment." in (folder / "README.md").read_text() for folder in folders)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    arguments = ["-p", "no:cacheprovider", "-q", *(str(folder / "tests") for folder in folders)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stdout
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed > 7 * 10
