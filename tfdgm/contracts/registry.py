"""Plugins: found by entry-point metadata, loaded by name.

Finding reads metadata only, so it is fast, and a broken plugin has no effect until it is used. First-party plugins take
the same path as third-party ones.
"""

import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
from collections.abc import Iterable
from typing import Any

from tfdgm.contracts.spelling import misspelt
from tfdgm.errors import UserError, did_you_mean
from tfdgm.version import PLUGIN_API

#: The package of the first-party plugins.
OWN_PACKAGE = "tfdgm"

#: The contract of each plugin kind, by its public name.
KINDS = {
    "prior": "Prior",
    "posterior": "Posterior",
    "objective": "Objective",
    "likelihood": "Likelihood",
    "network": "Network",
    "data": "Data",
    "score": "Score",
    "callback": "Callback",
}


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One entry point.

    Attributes:
      kind: one of `KINDS`.
      name: the entry point's name.
      package, version: the installed package that provides it.
      target: "module:attribute".
    """

    kind: str
    name: str
    package: str
    version: str
    target: str

    @property
    def gin_name(self) -> str:
        """The name in a config: `KIND.NAME`."""
        return f"{self.kind}.{self.name}"

    @property
    def qualified_name(self) -> str:
        """The name in a config if several packages provide it: `KIND.PACKAGE.NAME`."""
        return f"{self.kind}.{gin_identifier(self.package)}.{self.name}"

    def __str__(self) -> str:
        return f"{self.gin_name} of {self.package} {self.version}"

    def problem(self) -> str | None:
        """Return why it cannot be loaded, or None; checks only that its module exists, without importing it."""
        module = self.target.partition(":")[0]
        try:
            found = importlib.util.find_spec(module.partition(".")[0])
        except (ImportError, ValueError):
            found = None
        return None if found else f"there is no module {module!r}"


def gin_identifier(package: str) -> str:
    """Return a package's name as an identifier of gin: `my_package` for `my-package`."""
    return re.sub(r"[^0-9a-zA-Z_]", "_", package)


@functools.cache
def find() -> tuple[Plugin, ...]:
    """Return all installed plugins, sorted by kind and name; reads metadata only."""
    found = {
        Plugin(kind, entry.name, entry.dist.name, entry.dist.version, entry.value)
        for kind in KINDS
        for entry in importlib.metadata.entry_points(group=f"tfdgm.{kind}")
        if entry.dist is not None
    }
    return tuple(sorted(found, key=lambda p: (list(KINDS).index(p.kind), p.name, p.package)))


def select(gin_name: str, plugins: Iterable[Plugin] | None = None, prefer: str | None = None) -> Plugin:
    """Return the plugin that a config names `KIND.NAME` or `KIND.PACKAGE.NAME`.

    Args:
      gin_name: the name.
      plugins: to select from; all installed ones by default.
      prefer: the package to choose if several provide the name.

    Raises:
      UserError: there is none, or several packages provide the name, none of them the preferred one.
    """
    plugins = find() if plugins is None else tuple(plugins)
    matches = [p for p in plugins if gin_name in (p.gin_name, p.qualified_name)]
    if len(matches) > 1:
        matches = [plugin for plugin in matches if plugin.package == prefer] or matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        providers = " and ".join(f"{p.package} {p.version} (write {p.qualified_name})" for p in matches)
        raise UserError(f"{gin_name} is ambiguous: it is provided by {providers}")
    kind, _, name = gin_name.partition(".")
    if kind not in KINDS:
        raise UserError(f"there is no plugin kind {kind!r}. {did_you_mean(kind, KINDS)}")
    of_kind = [p.name for p in plugins if p.kind == kind]
    raise UserError(
        f"there is no {kind} named {name!r}. {did_you_mean(name, of_kind)} "
        "Have you installed the package that provides it? `tfdgm plugins` lists what is installed."
    )


def load(plugin: Plugin) -> type:
    """Import the plugin's class and check it against its contract.

    Raises:
      UserError: it cannot be imported, does not subclass the contract of its kind, leaves an abstract method undefined,
        was written for another version of the contracts, misspells a name of the contract, or takes `**kwargs`.
    """
    module, _, attribute = plugin.target.partition(":")
    try:
        loaded: Any = importlib.import_module(module)
        for part in attribute.split("."):
            loaded = getattr(loaded, part)
    except Exception as error:
        raise UserError(f"the plugin {plugin} cannot be loaded: {type(error).__name__}: {error}") from error
    contract = getattr(importlib.import_module("tfdgm"), KINDS[plugin.kind])
    if not (inspect.isclass(loaded) and issubclass(loaded, contract)):
        raise UserError(f"the plugin {plugin} is not a subclass of tfdgm.{contract.__name__}")
    version = getattr(loaded, "plugin_api", PLUGIN_API)
    if version != PLUGIN_API:
        raise UserError(
            f"the plugin {plugin} was written for version {version} of the plugin contracts; "
            f"this tfdgm has version {PLUGIN_API}"
        )
    if found := misspelt(loaded, contract):
        raise UserError(
            f"the plugin {plugin} defines {found[0]!r}, which tfdgm.{contract.__name__} does not have; "
            f"did you mean {found[1]!r}? If not, choose a name that is less like it"
        )
    missing = sorted(getattr(loaded, "__abstractmethods__", ()))
    if missing:
        named = ", ".join(missing)
        raise UserError(f"the plugin {plugin} does not define {named}, which tfdgm.{contract.__name__} requires")
    for parameter in inspect.signature(loaded).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            raise UserError(f"the plugin {plugin} takes **{parameter.name}, which would hide misspelt parameters")
    setattr(loaded, "plugin_name", plugin.gin_name)  # noqa: B010  (messages use it)
    return loaded
