"""Write the package of a new plugin from the templates in the folder `templates`.

Each template of a kind is a plugin that works as it stands. Placeholders are replaced by the names of the new plugin:
PACKAGE, KIND, NAME, VERSION, YEAR, STATEMENTS (of gin), BINDINGS (the same, indented), `example_module` and the class
`Example...`.
"""

import datetime
import re
from importlib.resources import files
from pathlib import Path

from tfdgm.version import __version__

#: Gin statements with which a run uses a plugin.
_USES = {
    "prior": "experiment.prior = {}",
    "posterior": "experiment.posterior = {}",
    "objective": "experiment.objectives = [@objective.elbo(), {}]",
    "likelihood": 'experiment.likelihood = {}\ndata.digits.binarization = "none"',
    "network": "experiment.encoder = {}",
    "data": "experiment.data = {}\nexperiment.likelihood = @likelihood.gaussian()",
    "score": "experiment.scores = [{}]",
    "callback": "experiment.callbacks = [{}]\ncallback.NAME.bound = 30.0",
}


def write_package(folder: Path, kind: str, name: str) -> None:
    """Write a package that can be published: the plugin, its tests, an example, CI, licence and metadata.

    Args:
      folder: of the new package, which is named after it; it must not exist.
      kind: of the plugin.
      name: of the plugin.
    """
    module = f"tfdgm_{name}"
    statements = _USES[kind].format(f"@{kind}.{name}()")
    names = {
        "STATEMENTS": statements,
        "BINDINGS": statements.replace("\n", "\n    "),
        "PACKAGE": folder.name,
        "KIND": kind,
        "NAME": name,
        "VERSION": __version__,
        "example_module": module,
        "YEAR": str(datetime.date.today().year),
        r"Example\w+": class_name(name),
    }
    for path, template in {
        "pyproject.toml": "pyproject.template",
        "README.md": "readme.template",
        ".gitignore": "gitignore.template",
        ".github/workflows/test.yml": "workflow.template",
        f"examples/{name}.gin": "gin.template",
        f"{module}/__init__.py": f"{kind}.py",
        f"tests/test_{name}.py": f"test_{kind}.py",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(_filled(template, names), encoding="utf-8")
    holders = {name: names[name] for name in ("PACKAGE", "YEAR")}  # the licence has the word KIND
    (folder / "LICENSE").write_text(_filled("licence.template", holders), encoding="utf-8")


def class_name(name: str) -> str:
    """Return the name of the class of a plugin, such as `StudentT` for `student_t`."""
    return "".join(part.capitalize() for part in name.split("_"))


def _filled(template: str, names: dict[str, str]) -> str:
    """Return the text of a template with its names replaced."""
    text = files("tfdgm.cli").joinpath("templates", template).read_text(encoding="utf-8")
    for placeholder, value in names.items():
        text = re.sub(rf"\b{placeholder}\b", value, text)
    return text
