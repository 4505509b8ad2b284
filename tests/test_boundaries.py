"""Which modules may import which, read from the source."""

import ast
import inspect
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter

import pytest
from source_files import CORE, PLUGINS, ROOT, name

import tfdgm
import tfdgm.testing


def imported(path):
    """(module, name or None) of every import in a file, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


#: The folders of the core, lowest first: each imports only from itself and from those before it.
LAYERS = [
    "version", "errors", "numerics", "system", "contracts", "model", "parallel", "runs", "configuration", "trained",
    "evaluation", "training", "reporting", "api", "studies", "comparisons", "labs", "verification", "testing",
    "cli", "__main__",
]  # fmt: skip


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in CORE}


def arrows(path):
    """The core's modules that a file imports, `TYPE_CHECKING` and functions included."""
    for module, attribute in imported(path):
        if module.partition(".")[0] == "tfdgm":
            yield f"{module}.{attribute}" if f"{module}.{attribute}" in MODULES else module


def test_the_source_is_found_in_every_folder():
    assert {name(path).split("/")[0] for path in PLUGINS} == {"plugins", "tfdgm"}
    assert {module.split(".")[1] for module in MODULES if module != "tfdgm"} == set(LAYERS)


@pytest.mark.parametrize("path", [path for module, path in MODULES.items() if module != "tfdgm"], ids=name)
def test_arrows_between_folders_point_down(path):
    own = LAYERS.index(module_of(path).split(".")[1])
    up = [module for module in arrows(path) if module != "tfdgm" and LAYERS.index(module.split(".")[1]) > own]
    assert up == []


def test_no_module_imports_itself_through_others():
    try:
        list(TopologicalSorter({module: set(arrows(path)) for module, path in MODULES.items()}).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_public_name_is_the_name_of_a_submodule():
    submodules = {path.stem for path in (ROOT / "tfdgm").iterdir()}
    assert set(tfdgm.__all__) & submodules == set()


def test_public_names_keep_their_values_when_every_submodule_is_imported():
    code = """
import importlib, sys
import tfdgm
before = {name: getattr(tfdgm, name) for name in tfdgm.__all__}
for module in sys.argv[1:]:
    importlib.import_module(module)
changed = [name for name, value in before.items() if getattr(tfdgm, name) is not value]
sys.exit(f"changed: {changed}" if changed else 0)
"""
    modules = [module for module in MODULES if module != "tfdgm.__main__"]
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["tfdgm.configuration.resolve", "tfdgm.runs.experiment", "tfdgm.cli.main"])
def test_public_names_are_not_modules_whichever_module_is_imported_first(module):
    names = "[name for name in tfdgm.__all__ if isinstance(getattr(tfdgm, name), types.ModuleType)]"
    code = f"import types, {module}, tfdgm; assert {names} == []"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_no_two_modules_have_the_same_name():
    """Except commands and themes of oracles, which have the names that users type."""
    own = [path for path in CORE if path.stem != "__init__" and path.parent.name not in ("cli", "verification")]
    names = Counter(path.stem for path in own)
    assert [stem for stem, count in names.items() if count > 1] == []


def test_no_two_public_classes_have_the_same_name():
    classes = Counter(
        node.name
        for path in CORE
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in classes.items() if count > 1] == []


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_imports_no_plugin(path):
    assert [module for module, _ in imported(path) if module.startswith("tfdgm_")] == []


@pytest.mark.parametrize("path", [*CORE, *PLUGINS], ids=name)
def test_only_the_config_module_imports_gin_and_the_parser_its_parser(path):
    used = {(module, attribute) for module, attribute in imported(path) if module.partition(".")[0] == "gin"}
    expected = {
        "tfdgm/configuration/resolve.py": {("gin", None), ("gin.selector_map", "SelectorMap")},
        "tfdgm/configuration/gin_grammar.py": {("gin", "config_parser")},
    }
    assert used == expected.get(name(path), set())


@pytest.mark.parametrize("path", PLUGINS, ids=name)
def test_plugins_use_only_public_names(path):
    used = {(module, attribute) for module, attribute in imported(path) if module.partition(".")[0] == "tfdgm"}
    kit = {("tfdgm.testing", public) for public in tfdgm.testing.__all__}
    assert used <= {("tfdgm", public) for public in tfdgm.__all__} | kit


def test_every_public_name_is_defined_in_its_module_and_no_other_name_resolves():
    assert set(tfdgm._HOME) | {"PLUGIN_API", "__version__"} == set(tfdgm.__all__)
    for public, home in tfdgm._HOME.items():
        value = getattr(tfdgm, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (value.__module__, value.__name__) == (home, public)
        else:
            assert public in vars(sys.modules[home])
    with pytest.raises(AttributeError, match="Priro"):
        tfdgm.Priro  # noqa: B018


def test_files_are_small():
    long = {name(path): len(path.read_text().splitlines()) for path in [*CORE, *PLUGINS]}
    assert {path: lines for path, lines in long.items() if lines > 400} == {}
