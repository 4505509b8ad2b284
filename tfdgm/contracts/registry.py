"""Plugins: found by entry-point metadata, loaded by name.

Finding reads metadata only, so it is fast and a broken plugin costs nothing until it is used. First-party plugins take
the same path as a third party's.
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

from tfdgm.errors import UserError, did_you_mean
from tfdgm.version import PLUGIN_API

#: Plugin kinds, and the public name of the contract that each must subclass.
KINDS = {
    "prior": "Prior",
    "posterior": "Posterior",
    "objective": "Objective",
    "likelihood": "Likelihood",
    "network": "Network",
    "data": "Data",
    "callback": "Callback",
}


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One entry point.

    Attributes:
      kind: one of `KINDS`.
      name: the entry point's name.
      distribution, version: what it was installed by.
      target: "module:attribute".
    """

    kind: str
    name: str
    distribution: str
    version: str
    target: str

    @property
    def gin_name(self) -> str:
        """How a config names it: `KIND.NAME`."""
        return f"{self.kind}.{self.name}"

    @property
    def qualified_name(self) -> str:
        """How a config names it where two distributions offer the name: `KIND.DISTRIBUTION.NAME`."""
        return f"{self.kind}.{gin_identifier(self.distribution)}.{self.name}"

    def __str__(self) -> str:
        return f"{self.gin_name} of {self.distribution} {self.version}"

    def problem(self) -> str | None:
        """Why it cannot load as far as that shows without importing it, or None."""
        module = self.target.partition(":")[0]
        try:
            found = importlib.util.find_spec(module.partition(".")[0])
        except (ImportError, ValueError):
            found = None
        return None if found else f"there is no module {module!r}"


def gin_identifier(distribution: str) -> str:
    """A distribution's name as gin can write it: `my-package` as `my_package`."""
    return re.sub(r"[^0-9a-zA-Z_]", "_", distribution)


@functools.cache
def find() -> tuple[Plugin, ...]:
    """All installed plugins, by kind and name; reads metadata only."""
    found = {
        Plugin(kind, entry.name, entry.dist.name, entry.dist.version, entry.value)
        for kind in KINDS
        for entry in importlib.metadata.entry_points(group=f"tfdgm.{kind}")
        if entry.dist is not None
    }
    return tuple(sorted(found, key=lambda p: (list(KINDS).index(p.kind), p.name, p.distribution)))


def select(gin_name: str, plugins: Iterable[Plugin] | None = None) -> Plugin:
    """The plugin that a config means by `KIND.NAME` or `KIND.DISTRIBUTION.NAME`.

    Raises:
      UserError: there is none, or several distributions offer the name.
    """
    plugins = find() if plugins is None else tuple(plugins)
    matches = [p for p in plugins if gin_name in (p.gin_name, p.qualified_name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        offers = " and ".join(f"{p.distribution} {p.version} (write {p.qualified_name})" for p in matches)
        raise UserError(f"the name {gin_name} is offered by {offers}")
    kind, _, name = gin_name.partition(".")
    if kind not in KINDS:
        raise UserError(f"there is no plugin kind {kind!r}. {did_you_mean(kind, KINDS)}")
    of_kind = [p.name for p in plugins if p.kind == kind]
    raise UserError(
        f"there is no {kind} named {name!r}. {did_you_mean(name, of_kind)} "
        "Have you installed the package that offers it? `tfdgm plugins` lists what is installed."
    )


def load(plugin: Plugin) -> type:
    """Imports the plugin's class and checks it against its contract.

    Raises:
      UserError: it cannot be imported, is not of its kind, lacks a method of its contract, or was written for another
        version of the contracts.
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
    missing = sorted(getattr(loaded, "__abstractmethods__", ()))
    if missing:
        named = ", ".join(missing)
        raise UserError(f"the plugin {plugin} does not define {named}, which tfdgm.{contract.__name__} requires")
    for parameter in inspect.signature(loaded).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            raise UserError(f"the plugin {plugin} takes **{parameter.name}, which would hide misspelt parameters")
    setattr(loaded, "plugin_name", plugin.gin_name)  # noqa: B010  (messages use it)
    return loaded
