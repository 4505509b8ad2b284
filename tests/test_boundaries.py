"""Who may import whom, read off the source."""

import ast
from pathlib import Path

import pytest

import tfdgm

ROOT = Path(tfdgm.__file__).parents[1]
CORE = sorted((ROOT / "tfdgm").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


def imported(path):
    """(module, name or None) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def name(path):
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check():
    assert len(CORE) > 30 and len(PLUGINS) > 10


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_imports_no_plugin(path):
    assert [module for module, _ in imported(path) if module.startswith("tfdgm_")] == []


@pytest.mark.parametrize("path", [*CORE, *PLUGINS], ids=name)
def test_only_the_config_module_imports_gin_and_the_parser_its_parser(path):
    used = {(module, what) for module, what in imported(path) if module.partition(".")[0] == "gin"}
    expected = {"tfdgm/config.py": {("gin", None)}, "tfdgm/gin_parser.py": {("gin", "config_parser")}}
    assert used == expected.get(name(path), set())


@pytest.mark.parametrize("path", PLUGINS, ids=name)
def test_plugins_use_only_public_names(path):
    for module, what in imported(path):
        if module.partition(".")[0] == "tfdgm":
            assert module == "tfdgm" and what in tfdgm.__all__, f"{module}.{what}"


def test_every_public_name_resolves_and_no_other_does():
    for public in tfdgm.__all__:
        assert getattr(tfdgm, public) is not None
    with pytest.raises(AttributeError, match="Priro"):
        tfdgm.Priro  # noqa: B018


def test_files_are_small():
    long = {name(path): len(path.read_text().splitlines()) for path in [*CORE, *PLUGINS]}
    assert {path: lines for path, lines in long.items() if lines > 400} == {}
