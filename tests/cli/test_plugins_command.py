"""`tfdgm plugins`: list, show and new."""

import ast
import importlib
import sys

import pytest
from small import command

from tfdgm.contracts.registry import KINDS, Plugin, find, load


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
