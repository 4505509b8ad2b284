"""Write the package of a new plugin from the templates in the folder `templates`.

Each template is a plugin that works as it stands. Placeholders in it are replaced by the names of the new plugin:
PACKAGE, KIND, NAME, VERSION, `example_module` and the class `Example...`.
"""

import re
from importlib.resources import files
from pathlib import Path

from tfdgm.version import __version__

#: Gin statements with which a run uses a plugin.
_USES = {
    "prior": "experiment.prior = {}",
    "posterior": "experiment.posterior = {}",
    "objective": "experiment.objectives = [@objective.elbo(), {}]",
    "likelihood": "experiment.likelihood = {}",
    "network": "experiment.encoder = {}",
    "data": "experiment.data = {}\nexperiment.likelihood = @likelihood.gaussian()",
    "score": "experiment.scores = [{}]",
    "callback": "experiment.callbacks = [{}]",
}


def write_package(folder: Path, kind: str, name: str) -> None:
    """Write pyproject.toml, README.md, the package and its test below `folder`.

    Args:
      folder: of the new package, which is named after it; it must not exist.
      kind: of the plugin.
      name: of the plugin.
    """
    module = f"tfdgm_{name}"
    names = {
        "PACKAGE": folder.name,
        "KIND": kind,
        "NAME": name,
        "VERSION": __version__,
        "example_module": module,
        "BINDINGS": _USES[kind].format(f"@{kind}.{name}()").replace("\n", "\n    "),
        r"Example\w+": class_name(name),
    }
    (folder / module).mkdir(parents=True)
    (folder / "tests").mkdir()
    for path, text in {
        "pyproject.toml": _filled("pyproject.template", names),
        "README.md": _filled("readme.template", names),
        f"{module}/__init__.py": _filled(f"{kind}.py", names),
        f"tests/test_{name}.py": _filled(f"test_{kind}.py", names),
    }.items():
        (folder / path).write_text(text, encoding="utf-8")


def class_name(name: str) -> str:
    """Return the name of the class of a plugin, such as `StudentT` for `student_t`."""
    return "".join(part.capitalize() for part in name.split("_"))


def _filled(template: str, names: dict[str, str]) -> str:
    """Return the text of a template with its names replaced."""
    text = files("tfdgm.cli").joinpath("templates", template).read_text(encoding="utf-8")
    for placeholder, value in names.items():
        text = re.sub(rf"\b{placeholder}\b", value, text)
    return text
